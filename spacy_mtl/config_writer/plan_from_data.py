"""A plan from what the data carries."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..debug_data.counts import HeadCounts, learn_labels
from ..protocols.head import Head
from .config_plan import HeadPlan, Plan
from .corpus_docs import CorpusDocs, all_docs, read_corpora_docs
from .corpus_paths import place_corpora
from .proposed_heads import find_label_maps, propose_heads
from .request import Request
from .training_numbers import choose_numbers, choose_sampler


def plan_from_data(request: Request) -> Plan:
    """Propose what the request leaves open: heads, and the numbers of the training.

    RAISES ValueError: A file can't be read, no head finds gold, or one that is named finds none.
    """
    corpora = read_corpora_docs(request)
    plan = Plan()
    if request.heads:
        plan.heads = [HeadPlan(spec.name, spec.kind, spec.preset, dict(spec.options)) for spec in request.heads]
        learners = {corpus.name: _finding_gold(request, plan.heads, corpus) for corpus in corpora}
        label_maps = dict(request.label_maps)
    else:
        proposals, plan.warnings = propose_heads(corpora)
        plan.heads = [proposal.plan for proposal in proposals]
        learners = {corpus.name: [p.plan.name for p in proposals if corpus.name in p.labels] for corpus in corpora}
        label_maps = find_label_maps(proposals) | dict(request.label_maps)
    heads = {head.name: head.make() for head in plan.heads}
    for corpus in corpora:
        if not learners[corpus.name] and len(corpora) > 1:
            raise ValueError(
                f"{corpus.title}: no head finds gold in {corpus.train_path}; leave the corpus out, or add a head for it"
            )
    count_gold(plan, heads, corpora, learners)
    if not request.heads:
        link_heads(plan, heads, corpora, learners, pretrained=request.transformer is not None)
    plan.mean_length = length_of_shared(plan, heads, corpora)
    numbers = choose_numbers(request, corpora)
    plan.values, plan.why = numbers.values, numbers.why
    place(request, plan, corpora, learners, label_maps)
    return plan


def _finding_gold(request: Request, heads: Sequence[HeadPlan], corpus: CorpusDocs) -> list[str]:
    """The named heads that learn from a corpus: those that the request says, or all that find gold in it."""
    named = next((spec.heads for spec in request.corpora if spec.name == corpus.name), ())
    return list(named) or [head.name for head in heads if _counts(head.make(), corpus).docs]


def _counts(head: Head, corpus: CorpusDocs) -> HeadCounts:
    counts = HeadCounts()
    learn_labels(head, corpus.train)
    counts.add(head, corpus.train)
    return counts


def count_gold(
    plan: Plan, heads: Mapping[str, Head], corpora: Sequence[CorpusDocs], learners: Mapping[str, Sequence[str]]
) -> None:
    """Count what each head finds in train and dev. Raise a ValueError if it finds nothing to learn from."""
    for head_plan in plan.heads:
        head = heads[head_plan.name]
        own = [corpus for corpus in corpora if head_plan.name in learners[corpus.name]]
        train, dev = HeadCounts(), HeadCounts()
        learn_labels(head, [eg for corpus in own for eg in corpus.train])
        for corpus in own:
            train.add(head, corpus.train)
            dev.add(head, corpus.dev)
        if not train.docs:
            titles = ", ".join(corpus.title for corpus in corpora)
            raise ValueError(
                f"head {head_plan.name!r}: no doc of {titles} carries its annotation "
                f"({', '.join(head.gold_attributes)}); leave the head out, or name other data"
            )
        head_plan.n_train, head_plan.n_dev, head_plan.n_labels = train.docs, dev.docs, len(train.labels)
        if not dev.docs:
            files = ", ".join(corpus.dev_path for corpus in own if corpus.dev_path) or "no dev file"
            plan.warnings.append(
                f"head {head_plan.name!r}: dev ({files}) has no gold for it, so that it is not scored and does not "
                "help to choose the best model; add such docs to dev"
            )
            head_plan.why.append("dev has no gold for it, so that it is not scored")


def link_heads(
    plan: Plan,
    heads: dict[str, Head],
    corpora: Sequence[CorpusDocs],
    learners: Mapping[str, Sequence[str]],
    *,
    pretrained: bool,
) -> None:
    """Ask each head's preset whether it should see, or work on, what others predict."""
    for head in plan.heads:
        own = [corpus for corpus in corpora if head.name in learners[corpus.name]]
        together = {name for corpus in own for name in learners[corpus.name]} - {head.name}
        others = {name: other for name, other in heads.items() if name in together}
        links = head.preset.links(all_docs(own), others, pretrained=pretrained)
        head.options |= dict(links.settings)
        head.why += [links.why] if links.why else []


def length_of_shared(plan: Plan, heads: Mapping[str, Head], corpora: Sequence[CorpusDocs]) -> float | None:
    """The mean number of tokens of docs that have gold of a head whose loss is per doc, and of one whose loss is per
    token. None if there are none.
    """
    lengths = []
    for corpus in corpora:
        has = {
            unit: np.any(
                [
                    [heads[head.name].has_gold(eg) for eg in corpus.train]
                    for head in plan.heads
                    if head.preset.unit == unit
                ]
                or [[False] * len(corpus.train)],
                axis=0,
            )
            for unit in ("docs", "tokens")
        }
        both = has["docs"] & has["tokens"]
        lengths += [len(eg.reference) for eg, flag in zip(corpus.train, both, strict=True) if flag]
    return float(np.mean(lengths)) if lengths else None


def place(
    request: Request,
    plan: Plan,
    corpora: Sequence[CorpusDocs],
    learners: Mapping[str, Sequence[str]],
    label_maps: Mapping[str, Mapping[str, str]],
) -> None:
    """Set the paths, and the corpora with their heads and the sampler if there are several."""
    if request.data is not None:
        plan.paths = {name: path.as_posix() for name, path in zip(("train", "dev"), request.data, strict=True)}
    else:
        specs = [
            spec
            if spec.heads
            else replace(spec, heads=tuple(learners[spec.name]), dev_heads=tuple(learners[spec.name]))
            for spec in request.corpora
        ]
        plan.corpora, plan.paths = place_corpora(specs, label_maps)
        plan.sampler, plan.why["corpora.train.sampler"] = choose_sampler(corpora)
        if request.sampler is not None:
            plan.sampler, plan.why["corpora.train.sampler"] = dict(request.sampler), ""
        for corpus in plan.corpora:
            if corpus.label_map and corpus.name not in request.label_maps:
                corpus.why.append("label_map: another corpus writes these labels in another case")
    if request.transformer is not None:
        plan.paths["transformer"] = request.transformer
