"""Heads that find gold in corpora: each preset is asked what it can offer for each corpus."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..protocols.head import Head
from ..protocols.head_labels import HasLabels, RenamesLabels
from ..protocols.head_preset import HeadPreset, Offer
from .config_plan import HeadPlan
from .corpus_docs import CorpusDocs
from .head_spec import presets

# Two corpora have the same labels if this share of the smaller set is in the other one.
SAME = 0.5


@dataclass
class Proposal:
    """A head that is offered, and the corpora that it would learn from.

    labels (dict[str, set[str]]): Labels by the name of the corpus.
    """

    plan: HeadPlan
    head: Head
    offer: Offer
    labels: dict[str, set[str]] = field(default_factory=dict)

    @property
    def corpora(self) -> list[str]:
        """The names of the corpora."""
        return list(self.labels)


def propose_heads(corpora: Sequence[CorpusDocs]) -> tuple[list[Proposal], list[str]]:
    """Ask all presets for heads. Offers for several corpora become one head if their labels agree.

    RETURNS: The heads, those with a loss per doc first, and warnings.
    RAISES ValueError: Nothing is offered.
    """
    found: list[Proposal] = []
    for corpus in corpora:
        for kind, preset in distinct(presets()).items():
            found += [_propose(kind, preset, offer, corpus) for offer in preset.offers(corpus.docs)]
    if not found:
        titles = ", ".join(corpus.title for corpus in corpora)
        raise ValueError(
            f"{titles}: no doc has annotation that a head learns from; the kinds of heads are {', '.join(presets())}"
        )
    merged, warnings = merge(sorted(found, key=lambda one: one.plan.preset.unit))
    give_names(merged)
    return merged, warnings


def distinct(found: Mapping[str, HeadPreset]) -> dict[str, HeadPreset]:
    """The presets without those that are another one by a second name."""
    firsts: dict[str, HeadPreset] = {}
    for name, preset in found.items():
        if preset not in firsts.values():
            firsts[name] = preset
    return firsts


def _propose(kind: str, preset: HeadPreset, offer: Offer, corpus: CorpusDocs) -> Proposal:
    plan = HeadPlan(offer.name, kind, preset, dict(offer.settings), why=[_said(offer, corpus)])
    head = plan.make()
    labels: set[str] = set()
    if isinstance(head, HasLabels):
        head.collect_labels(corpus.train)
        labels = set(head.labels)
    return Proposal(plan, head, offer, {corpus.name: labels})


def _said(offer: Offer, corpus: CorpusDocs) -> str:
    return f"in {corpus.name}, {offer.why}" if corpus.name else offer.why


def merge(found: Sequence[Proposal]) -> tuple[list[Proposal], list[str]]:
    """Join offers of the same kind from several corpora whose labels agree. Others stay apart: in a common head, each
    corpus would teach that the labels of the other do not occur. If they write to the same place, the preset is asked
    for another one; without it they are joined all the same, with a warning.
    """
    merged: list[Proposal] = []
    warnings: list[str] = []
    for one in found:
        (corpus,) = one.corpora
        same_kind = [other for other in merged if _same_kind(one, other)]
        partner = next((other for other in same_kind if agree(one, other)), None)
        rival = next((other for other in same_kind if set(one.head.writes) & set(other.head.writes)), None)
        apart = one.plan.preset.apart(f"{corpus}_{one.plan.name}") if rival and partner is None else {}
        if apart is None and rival is not None:
            partner = rival
            warnings.append(
                f"head {rival.plan.name!r}: the labels of corpus {corpus!r} are others than those of "
                f"{', '.join(rival.corpora)}, but only one head can write {', '.join(rival.head.writes)}; name one of "
                "the corpora for it, with --corpus NAME=PATH:HEADS"
            )
        if partner is None:
            merged.append(_with_options(one, apart or {}))
        else:
            partner.labels[corpus] = one.labels[corpus]
            partner.plan.why += one.plan.why
    return merged, warnings


def _same_kind(one: Proposal, other: Proposal) -> bool:
    return one.plan.preset == other.plan.preset and one.offer.settings == other.offer.settings


def agree(one: Proposal, other: Proposal) -> bool:
    """Check whether the labels of two proposals are mostly the same, whatever their case."""
    mine, theirs = ({label.casefold() for own in p.labels.values() for label in own} for p in (one, other))
    return len(mine & theirs) >= SAME * min(len(mine), len(theirs))


def _with_options(one: Proposal, options: Mapping[str, object]) -> Proposal:
    if not options:
        return one
    plan = replace(one.plan, options=one.plan.options | dict(options))
    plan.why.append("its labels are not those of another corpus, so that it writes to a place of its own")
    return replace(one, plan=plan, head=plan.make())


def give_names(found: Sequence[Proposal]) -> None:
    """Name heads that would have the same name by their corpus, too; those of one corpus by their kind."""
    names = Counter(one.plan.name for one in found)
    for one in found:
        if names[one.plan.name] > 1 and one.corpora[0]:
            one.plan.name = f"{one.corpora[0]}_{one.plan.name}"
    names = Counter(one.plan.name for one in found)
    for one in found:
        if names[one.plan.name] > 1:
            one.plan.name = f"{one.plan.name}_{one.plan.kind}"
        one.head.name = one.plan.name


def renamed_by_case(labels: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Find labels whose only difference from a known one is their case. Labels that both corpora have are themselves,
    and so are those of which a corpus has several that differ in nothing else, such as the tags N and n.
    """
    forms = [Counter(label.casefold() for label in own) for own in (labels, known)]
    same = {label.casefold(): label for label in known}
    return {
        label: same[label.casefold()]
        for label in sorted(set(labels) - set(known))
        if all(counts[label.casefold()] == 1 for counts in forms)
    }


def find_label_maps(found: Sequence[Proposal]) -> dict[str, dict[str, str]]:
    """Rename labels that differ from those of an earlier corpus in their case alone. RETURNS: New names by corpus."""
    maps: dict[str, dict[str, str]] = {}
    for one in found:
        known: set[str] = set()
        for corpus, labels in one.labels.items():
            if isinstance(one.head, RenamesLabels):
                maps.setdefault(corpus, {}).update(renamed_by_case(labels, known))
            known |= set(labels)
    return {corpus: changed for corpus, changed in maps.items() if changed}
