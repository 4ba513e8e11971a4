"""The rules: what the numbers say about a training before it starts."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ..pipeline.checks import check_overlap
from ..protocols.decodes_jointly import DocClasses
from ..protocols.head import Head
from ..protocols.head_labels import CountsGold, HasLabels
from .audit import LEVELS, Audit, Finding
from .counts import HeadCounts, Part, Stored

# Fewer examples of a label than this are hardly enough to learn it.
FEW = 5
# A corpus lacks a label by chance less than once in 100 times if this many of its docs should have it.
EXPECTED = 5
# Maximum number of labels to name in a finding.
SHOWN = 10

RuleT = Callable[[Audit, Mapping[str, Head]], Iterator[Finding]]


def find_problems(result: Audit, heads: Mapping[str, Head]) -> list[Finding]:
    """Apply all rules. RETURNS: Errors first, then warnings, then hints, each in the order of `RULES`."""
    found = [finding for rule in RULES for finding in rule(result, heads)]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def overlapping_heads(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Heads that write the same."""
    try:
        check_overlap(heads)
    except ValueError as error:
        yield Finding("error", str(error))


def untrained_heads(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Heads that would learn nothing."""
    for key, head in heads.items():
        if not sum(counts.docs for counts in result.counts_in_train(key).values()):
            yield Finding(
                "error",
                f"head {key!r}: no doc of {result.train!r} carries its annotation "
                f"({', '.join(head.gold_attributes)}), so it would never train; add such docs, or check heads and "
                "label_map of the corpora",
            )
        elif isinstance(head, DocClasses) and isinstance(head, HasLabels) and len(head.labels) == 1:
            yield Finding(
                "error",
                f"head {key!r}: its only label is {head.labels[0]!r}, so there is nothing to tell apart; add another",
            )


def refused_gold(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Docs whose gold contradicts itself. Training stops at such a doc; on dev it is scored as it stands."""
    for part in result.parts:
        for key, counts in part.heads.items():
            if counts.mistakes:
                yield Finding(
                    "error" if part.split == result.train else "warning",
                    f"{where(part)}: head {key!r} can't use the gold of {counts.mistakes} of {len(part.lengths)} docs. "
                    f"The first: {counts.first_mistake}",
                )


def useless_corpora(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Corpora of the train split that no head learns from: training refuses them."""
    for part in result.train_parts:
        if part.lengths and part.unused == len(part.lengths):
            yield Finding(
                "error",
                f"corpus {part.corpus!r}: none of its {len(part.lengths)} docs has gold of a head that may learn "
                "from it; check its annotation, heads and label_map, or leave the corpus out",
            )


def lost_by_reader(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Gold that is in the files and does not come out of the reader."""
    for part in result.parts:
        losses = list(describe_losses(part, part.stored, heads)) if part.stored else []
        if part.stored and losses:
            yield Finding(
                "warning", f"{where(part)}: the reader loses {'; '.join(losses)}. {fix_of_reader(part.stored)}"
            )


def describe_losses(part: Part, stored: Stored, heads: Mapping[str, Head]) -> Iterator[str]:
    """What is lost as a whole, and of each head's gold. An augmenter that adds docs can hide a part of it."""
    if part.n_gold_tokens < stored.tokens:
        lost = f"{stored.tokens - part.n_gold_tokens} of {stored.tokens} tokens"
        fewer = stored.docs - len(part.lengths)
        yield f"{fewer} of {stored.docs} docs, {lost}" if fewer > 0 else lost
    for key, before in stored.heads.items():
        after = part.heads.get(key, HeadCounts())
        lost_labels = (before.labels - after.labels).total()
        losses = []
        if after.docs < before.docs:
            losses.append(f"{before.docs - after.docs} of {before.docs} docs")
        if after.units < before.units and before.units != before.docs:
            losses.append(f"{before.units - after.units} of {before.units} tokens")
        if lost_labels:
            losses.append(f"{lost_labels} of {before.labels.total()} examples of its labels")
        if losses:
            yield f"head {key!r} ({', '.join(heads[key].gold_attributes)}) {', '.join(losses)}"


def fix_of_reader(stored: Stored) -> str:
    """How not to lose it, by the settings of the reader."""
    ours = 'use @readers = "spacy_mtl.Corpus.v1" with gold_tokens = true'
    if "gold_preproc" in stored.settings:
        return f"gold_preproc = true splits docs into sentences, which have no cats; {ours}"
    if "max_length" in stored.settings:
        return (
            f"max_length = {stored.settings['max_length']} splits longer docs into sentences, which have no cats, and "
            f"leaves out those without sentence starts; {ours} and max_length = 0"
        )
    return ours[0].upper() + ours[1:]


def limited_corpora(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Docs that are not read because a limit is set."""
    for part in result.parts:
        if part.stored and part.stored.beyond_limit:
            total = part.stored.docs + part.stored.beyond_limit
            yield Finding(
                "hint", f"{where(part)}: limit leaves out {part.stored.beyond_limit} of {total} docs; 0 reads all"
            )


def learned_as_negative(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Labels that one corpus has and another lacks, where most docs of the other teach the head that they do not occur:
    it may not be annotated for them. Labels that are too rare to expect any in the other corpus are left out.
    """
    for key in heads:
        by_corpus = result.counts_in_train(key)
        total = sum((counts.labels for counts in by_corpus.values()), Counter())
        for corpus, counts in by_corpus.items():
            others = sum(other.docs for name, other in by_corpus.items() if name != corpus)
            lacking = {
                label: negatives
                for label, number in total.items()
                if number
                and not counts.labels[label]
                and 2 * (negatives := counts.complete + counts.negatives[label]) > counts.docs
                and negatives * number >= EXPECTED * others
            }
            if lacking:
                yield Finding(
                    "warning",
                    f"head {key!r}: corpus {corpus!r} has no example of {named(lacking)}, which other corpora have, "
                    f"and up to {max(lacking.values())} of its docs teach the head that they do not occur. If "
                    f"{corpus!r} was not annotated for them, leave the head out of the corpus's heads, give the "
                    "corpus a head of its own, or leave the gold unset where they could be",
                )


def misaligned_entities(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Entities that do not fit the tokens of the pipeline."""
    for part in result.parts:
        if part.misaligned:
            yield Finding(
                "warning",
                f"{where(part)}: {part.misaligned} entities do not begin and end at the pipeline's tokens and count "
                "as missing; read with spacy_mtl.Corpus.v1 and gold_tokens = true, or use a tokenizer that fits",
            )


def labels_without_examples(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Labels that train has no positive example of: those of dev and test, and classes that never apply."""
    for key, head in heads.items():
        train, others = result.labels(key, train=True), result.labels(key, train=False)
        if not train or not (isinstance(head, HasLabels) and isinstance(head, CountsGold)):
            continue
        missing = [label for label in {*head.labels, *others} if not train[label]]
        unseen = {label: others[label] for label in missing if others[label]}
        if unseen:
            yield Finding(
                "warning",
                f"head {key!r}: labels without an example in {result.train!r} are never predicted, but other splits "
                f"have some: {named(unseen)}; add examples, or leave these labels out of the other splits",
            )
        never = [label for label in missing if not others[label]]
        if never:
            yield Finding(
                "warning",
                f"head {key!r}: labels without a positive example in any split: {named(dict.fromkeys(never, 0))}; "
                "they are only learned as not applying, so add examples, or leave the labels out",
            )


def leaked_texts(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Texts of dev or test that are in train."""
    for part in result.parts:
        shared = result.shared_texts(part)
        if shared:
            yield Finding(
                "warning",
                f"{where(part)}: {shared} of {len(part.lengths)} texts are in {result.train!r} too, so scores on them "
                "are too good",
            )


def costly_combinations(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Gold of dev or test that joint decoding would be unlikely to find."""
    for part in result.parts:
        for head, found in part.gold_costs.items():
            if any(found.costs):
                yield Finding(
                    "warning",
                    f"{where(part)}: head {head!r} is decoded with consistent_with, and its gold {found}, because "
                    f"{result.train!r} does not show such entity types together in docs of that class; compare the "
                    "scores on dev with those of consistent_with = null",
                )


def rare_labels(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Labels with few examples in train."""
    for head in result.heads:
        few = {label: number for label, number in result.labels(head, train=True).items() if 0 < number < FEW}
        if few:
            yield Finding(
                "hint",
                f"head {head!r}: labels with fewer than {FEW} examples in {result.train!r}: {named(few)}",
            )


def unused_docs(result: Audit, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """Docs that no head learns from or is scored on, and docs without tokens."""
    for part in result.parts:
        n_docs = len(part.lengths)
        if 0 < part.unused < n_docs or (part.unused and part.split != result.train):
            yield Finding("hint", f"{where(part)}: no head has gold in {part.unused} of {n_docs} docs")
        if not all(part.lengths):
            yield Finding("hint", f"{where(part)}: {part.lengths.count(0)} docs are empty")


def where(part: Part) -> str:
    """The corpus, for the beginning of a message."""
    return f"{part.split}, corpus {part.corpus!r}"


def named(numbers: Mapping[str, int]) -> str:
    """Labels with their numbers. Of many, those with the largest."""
    chosen = sorted(numbers, key=lambda label: -numbers[label])[:SHOWN]
    more = f" and {len(numbers) - SHOWN} more (--labels lists all)" if len(numbers) > SHOWN else ""
    return ", ".join(f"{label} ({numbers[label]})" for label in sorted(chosen)) + more


# In each level, what makes a training wrong comes before what makes it slightly worse.
RULES: tuple[RuleT, ...] = (
    overlapping_heads,
    untrained_heads,
    refused_gold,
    useless_corpora,
    lost_by_reader,
    learned_as_negative,
    misaligned_entities,
    labels_without_examples,
    leaked_texts,
    costly_combinations,
    rare_labels,
    unused_docs,
    limited_corpora,
)
