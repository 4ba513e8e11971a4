"""Reading all corpora of a config, and what is to be said about them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.training import Example
from spacy.util import load_model_from_config, minibatch, registry
from thinc.api import Config

from ..pipeline.checks import check_overlap
from ..pipeline.consistency import GoldCosts, find_consistent, find_gold_costs, update_constraints
from ..pipeline.head_views import HeadViews, check_head_names
from ..protocols.head import DocClasses, HasLabels, Head
from ..readers.multi_corpus import MultiCorpus
from ..readers.pipeline_heads import heads_of
from ..readers.source import Source
from .counts import Part

# Fewer examples of a label than this are hardly enough to learn it.
FEW = 5
CHUNK = 500


@dataclass
class Audit:
    """What was found.

    train (str): The split that is trained on.
    heads (list[str]): The heads' names.
    parts (list[Part]): The numbers.
    errors (list[str]): What would stop the training, or leave a head without any.
    warnings (list[str]): What may do harm.
    """

    train: str
    heads: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def labels(self, head: str, *, train: bool) -> Counter[str]:
        """Examples of each label of a head in the train split, or in all others."""
        parts = [part for part in self.parts if (part.split == self.train) == train and head in part.heads]
        return sum((part.heads[head].labels for part in parts), Counter())

    def shared_texts(self, part: Part) -> int:
        """Docs of a dev or test corpus whose text is in the train split too."""
        if part.split == self.train:
            return 0
        train = {text for other in self.parts if other.split == self.train for text in other.texts}
        return sum(text in train for text in part.texts)


def audit(config: Config) -> Audit:
    """Read every split of `[corpora]` once, the train split first, unsampled.

    config (Config): A training config with a component `multitask`.
    RETURNS (Audit): The numbers and the findings. A corpus that can't be read is among the errors.
    RAISES ValueError: The config has no component of this package, or no corpora.
    """
    nlp = load_model_from_config(config, auto_fill=True)
    heads = heads_of(nlp.pipeline)
    if not heads:
        raise ValueError(f"the pipeline has no component multitask: {nlp.pipe_names}; spacy debug data is for others")
    settings = nlp.config.interpolate()
    train = str(settings["training"]["train_corpus"]).removeprefix("corpora.")
    splits: dict[str, Any] = registry.resolve(settings["corpora"])
    if train not in splits:
        raise ValueError(f"training.train_corpus is 'corpora.{train}', but the corpora are {list(splits)}")
    result = Audit(train, list(heads))
    for split in (train, *(name for name in splits if name not in (train, "pretrain"))):
        for corpus, examples in corpora_in_split(splits[split], nlp, split):
            part = Part(split, corpus)
            result.parts.append(part)
            try:
                count(part, examples, heads, is_train=split == train)
            except ValueError as error:
                result.errors.append(f"{split}: {error}")
    find_problems(result, heads)
    return result


def corpora_in_split(reader: Any, nlp: Language, split: str) -> Iterator[tuple[str, Iterable[Example]]]:
    """The corpora of a split, unsampled. A plain reader is one corpus, by the split's name."""
    if isinstance(reader, MultiCorpus):
        for name, source in reader.sources.items():
            yield name, source(nlp)
    else:
        yield split, Source(split, reader)(nlp)


def count(part: Part, examples: Iterable[Example], heads: Mapping[str, Head], *, is_train: bool) -> None:
    """Count the examples of a corpus, some at a time."""
    pairs = find_consistent(heads)
    for chunk in map(list, minibatch(examples, CHUNK)):
        check_head_names(heads, chunk)
        part.add(chunk, heads)
        if is_train:
            update_constraints(heads, pairs, HeadViews(chunk))
        else:
            for key, found in find_gold_costs(heads, pairs, HeadViews(chunk)).items():
                part.gold_costs.setdefault(key, GoldCosts()).costs.extend(found.costs)


def find_problems(result: Audit, heads: Mapping[str, Head]) -> None:
    """Write the errors and warnings."""
    try:
        check_overlap(heads)
    except ValueError as error:
        result.errors.append(str(error))
    result.errors.extend(chain(untrained_heads(result, heads), useless_corpora(result)))
    result.warnings.extend(chain(rare_labels(result), odd_docs(result)))


def untrained_heads(result: Audit, heads: Mapping[str, Head]) -> Iterator[str]:
    """Heads that would learn nothing."""
    for key, head in heads.items():
        in_train = [part.heads[key] for part in result.parts if part.split == result.train and key in part.heads]
        if not sum(counts.docs for counts in in_train):
            yield (
                f"head {key!r}: no doc of {result.train!r} carries its annotation "
                f"({', '.join(head.gold_attributes)}), so it would never train; add such docs, or check heads and "
                "label_map of the corpora"
            )
        elif isinstance(head, DocClasses) and isinstance(head, HasLabels) and len(head.labels) == 1:
            yield f"head {key!r}: its only label is {head.labels[0]!r}, so there is nothing to tell apart; add another"


def useless_corpora(result: Audit) -> Iterator[str]:
    """Corpora of the train split that no head learns from: training refuses them."""
    for part in result.parts:
        if part.split == result.train and part.lengths and part.unused == len(part.lengths):
            yield (
                f"corpus {part.corpus!r}: none of its {len(part.lengths)} docs has gold of a head that may learn "
                "from it; check its annotation, heads and label_map, or leave the corpus out"
            )


def rare_labels(result: Audit) -> Iterator[str]:
    """Labels that dev or test alone have, and those with few examples in train."""
    for head in result.heads:
        train, others = result.labels(head, train=True), result.labels(head, train=False)
        unseen = sorted(label for label in others if not train[label])
        if unseen:
            yield f"head {head!r}: {len(unseen)} labels occur in dev or test only: {', '.join(unseen)}"
        few = sorted(label for label, number in train.items() if 0 < number < FEW)
        if few:
            named = ", ".join(f"{label} ({train[label]})" for label in few)
            yield f"head {head!r}: {len(few)} labels have fewer than {FEW} examples in {result.train!r}: {named}"


def odd_docs(result: Audit) -> Iterator[str]:
    """Docs that nobody uses, that are in two splits, whose entities don't fit the tokens, or that cost something."""
    for part in result.parts:
        where, n_docs = f"{part.split}, corpus {part.corpus!r}", len(part.lengths)
        if 0 < part.unused < n_docs or (part.unused and part.split != result.train):
            yield f"{where}: no head has gold in {part.unused} of {n_docs} docs"
        shared = result.shared_texts(part)
        if shared:
            yield f"{where}: {shared} of {n_docs} texts are in {result.train!r} too, so scores on them are too good"
        if part.misaligned:
            yield (
                f"{where}: {part.misaligned} entities do not begin and end at the pipeline's tokens and count as "
                "missing; read with spacy_mtl.Corpus.v1 and gold_tokens = true, or use a tokenizer that fits"
            )
        for head, found in part.gold_costs.items():
            if any(found.costs):
                yield (
                    f"{where}: head {head!r} is decoded with consistent_with, and its gold {found}, because "
                    f"{result.train!r} does not show such entity types together in docs of that class; compare the "
                    "scores on dev with those of consistent_with = null"
                )
        if part.lengths and not all(part.lengths):
            yield f"{where}: {part.lengths.count(0)} docs are empty"


def length_row(part: Part) -> dict[str, float]:
    """The distribution of doc lengths, in tokens."""
    lengths = np.array(part.lengths or [0])
    names = ("min", "median", "p95", "max")
    values = dict(zip(names, np.quantile(lengths, [0.0, 0.5, 0.95, 1.0]).tolist(), strict=True))
    return {"total": float(lengths.sum()), "mean": float(lengths.mean())} | values
