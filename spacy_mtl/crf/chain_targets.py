"""A CRF's soft targets: the marginals of a teacher's tags, and the loss of another CRF against them."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from spacy.tokens import Doc
from thinc.util import get_array_module, to_numpy

from ..layers.ragged_rows import first_rows, row_owners
from ..layers.target_losses import likeliest, match_columns, taught_docs
from ..protocols.arrays import ArrayT, FloatsT, IntsT
from ..protocols.soft_targets import SoftTarget, TargetsT
from .forward_backward import forward_backward
from .likelihood import select_docs
from .linear_chain import CRFScores, constrain
from .tag_scheme import TagScheme, make_tag_scheme

# Expected counts of neighbouring tags below this are left out.
LEAST_COUNT = 1e-3


def tag_names(scheme: TagScheme, labels: Sequence[str]) -> tuple[str, ...]:
    """The names of the tags: "O", "B-city", "I-city", …"""
    pairs = zip(scheme.prefix.tolist(), scheme.label.tolist(), strict=True)
    return tuple(prefix if label < 0 else f"{prefix}-{labels[label]}" for prefix, label in pairs)


def label_of_tag(tag: str) -> str | None:
    """The label of a tag by its name; None for "O"."""
    return tag.partition("-")[2] or None


def chain_targets(
    docs: Sequence[Doc],
    scores: CRFScores,
    scheme: TagScheme,
    labels: Sequence[str],
    *,
    temperature: float,
    top: int,
) -> list[SoftTarget]:
    """Compute the marginals of each doc's tags, and the expected counts of neighbouring ones. White space, which has no
    tag, has a row of zeros.

    scores (CRFScores): Not constrained.
    """
    near = scores.with_potentials(to_numpy(part).astype("d") / temperature for part in scores.potentials)
    near.possible = scores.possible
    constrained = constrain(near, scheme)
    n_kept = min(top, scheme.n_tags)
    lattice = forward_backward(constrained)
    packing = lattice.packing
    log_alpha, log_beta, log_step = lattice.logs(np.arange(len(packing.rows)))
    packed_columns, packed_values = likeliest(np.exp(log_alpha + log_beta), n_kept)
    n_first = int(packing.sizes[0]) if len(packing.sizes) else 0
    steps = expected_steps(
        log_alpha[packing.before],
        constrained.transitions,
        log_step[n_first:],
        packed_columns[packing.before],
        packed_columns[n_first:],
    )
    names = tag_names(scheme, labels)
    n_tokens = sum(len(doc) for doc in docs)
    columns = np.zeros((n_tokens, n_kept), dtype="int64")
    values = np.zeros((n_tokens, n_kept), dtype="float32")
    places = scores.kept[packing.rows]
    columns[places], values[places] = packed_columns, packed_values
    owners = row_owners(scores.lengths)[packing.rows[n_first:]]
    found = steps_by_doc(owners, packed_columns[packing.before], packed_columns[n_first:], steps, len(docs), len(names))
    ends = np.cumsum([len(doc) for doc in docs]).tolist()
    return [
        SoftTarget("chain", names, temperature, columns[end - len(doc) : end], values[end - len(doc) : end], *own)
        for doc, end, own in zip(docs, ends, found, strict=True)
    ]


def expected_steps(log_alpha: FloatsT, moves: FloatsT, log_step: FloatsT, before: IntsT, after: IntsT) -> FloatsT:
    """Compute the probability of each pair of kept tags of two neighbouring tokens, (n_edges, n_kept, n_kept).

    before (IntsT): The kept tags of the first token of each edge, (n_edges, n_kept). after (IntsT): Of the second.
    """
    mine = np.take_along_axis(log_alpha, before, axis=1)[:, :, None]
    next_one = np.take_along_axis(log_step, after, axis=1)[:, None]
    pairs = np.exp(mine + moves[before[:, :, None], after[:, None]] + next_one)
    result: FloatsT = pairs / np.maximum(pairs.sum(axis=(1, 2), keepdims=True), 1e-30)
    return result


def steps_by_doc(
    owners: IntsT, before: IntsT, after: IntsT, pairs: FloatsT, n_docs: int, n_tags: int
) -> list[tuple[IntsT, ArrayT]]:
    """Sum the pairs of each doc. owners (IntsT): The doc of each edge, (n_edges,)."""
    keys = (owners[:, None, None] * n_tags + before[:, :, None]) * n_tags + after[:, None]
    found, index = np.unique(keys.ravel(), return_inverse=True)
    counts = np.bincount(index.ravel(), weights=pairs.ravel(), minlength=len(found))
    found, counts = found[counts >= LEAST_COUNT], counts[counts >= LEAST_COUNT].astype("float32")
    steps = np.stack([found // n_tags % n_tags, found % n_tags], axis=1)
    ends = np.searchsorted(found, np.arange(n_docs + 1) * n_tags**2).tolist()
    return [(steps[start:end], counts[start:end]) for start, end in itertools.pairwise(ends)]


def chain_target_loss(
    docs: Sequence[Doc],
    targets: TargetsT,
    scores: CRFScores,
    weights: FloatsT,
    *,
    kind: str,
    labels: Sequence[str],
    name: str,
) -> tuple[float, CRFScores | None]:
    """Compute the cross-entropy against the teacher's distribution over tag sequences, in nats per token. It needs no
    more of that distribution than its marginals: log Z less the potentials that the teacher expects.

    scores (CRFScores): The head's, not constrained. kind (str): The head's tag scheme.
    RETURNS: the loss, and its gradient; (0.0, None) without targets.
    """
    rows, taught = taught_docs(targets, weights)
    if not len(rows):
        return 0.0, None
    groups: dict[tuple[float, tuple[str, ...], float, int], list[int]] = defaultdict(list)
    for place, (row, target) in enumerate(zip(rows.tolist(), taught, strict=True)):
        groups[float(weights[row]), target.labels, target.temperature, target.values.shape[1]].append(place)
    offsets = np.cumsum([0, *(len(doc) for doc in docs)])
    total, gradient = 0.0, scores * 0.0
    for (weight, tags, temperature, _), places in groups.items():
        part, kept = select_docs(scores, np.isin(np.arange(len(docs)), rows[places]))
        own = [label for label in labels if label in {label_of_tag(tag) for tag in tags}]
        scheme = make_tag_scheme(kind, len(own))
        names = tag_names(make_tag_scheme(kind, len(labels)), labels)
        match_columns(tags, names, name)
        columns = match_columns(tag_names(scheme, own), names, name)
        if len(columns) != len(tags):
            raise ValueError(
                f"head {name!r}: its teacher has the tags {list(tags)}, which are not those of {kind} for {own}; give "
                "both the same tag scheme"
            )
        group = [taught[place] for place in places]
        expected = expected_counts(group, part, offsets[rows[places]], tag_names(scheme, own), name)
        loss, d_part = against(expected, select_tags(part, columns) * (1.0 / temperature), scheme)
        total += loss * weight * temperature**2
        add_tags(gradient, d_part * (weight * temperature), kept, columns)
    n_units = max(int(offsets[-1]), 1)
    return total / n_units, gradient * (1.0 / n_units)


def expected_counts(
    targets: Sequence[SoftTarget], scores: CRFScores, offsets: IntsT, names: tuple[str, ...], name: str
) -> CRFScores:
    """Sum what the teacher expects: the tag counts of each token, of neighbours, of first and of last tokens.

    targets (Sequence[SoftTarget]): With the same labels, and the same number of tags kept for each token.
    scores (CRFScores): Those of the docs with these targets. offsets (IntsT): First token of each doc in the batch.
    """
    columns = match_columns(targets[0].labels, names, name)
    lengths, kept = to_numpy(scores.lengths), to_numpy(scores.kept)
    owners = row_owners(lengths)
    first_target = first_rows(np.array([len(target.values) for target in targets]))
    rows = kept - offsets[owners] + first_target[owners]
    values = np.concatenate([target.values for target in targets])[rows].astype("d")
    values /= np.maximum(values.sum(axis=1, keepdims=True), 1e-30)
    emissions = np.zeros((len(kept), len(names)))
    tags = columns[np.concatenate([target.columns for target in targets])[rows]]
    emissions[np.arange(len(kept))[:, None], tags] = values
    pairs = columns[np.concatenate([target.steps for target in targets])]
    transitions = np.zeros((len(names), len(names)))
    np.add.at(transitions, (pairs[:, 0], pairs[:, 1]), step_counts(targets, lengths))
    running = lengths > 0
    first = first_rows(lengths)[running]
    starts, ends = emissions[first].sum(axis=0), emissions[first + lengths[running] - 1].sum(axis=0)
    xp = get_array_module(scores.emissions)
    return scores.with_potentials(map(xp.asarray, (emissions, transitions, starts, ends)))


def step_counts(targets: Sequence[SoftTarget], lengths: IntsT) -> FloatsT:
    """The counts of neighbouring tags of all docs end to end. Those of a doc sum to its number of neighbours again, of
    which rare ones were left out.
    """
    owners = row_owners(np.array([len(target.counts) for target in targets]))
    counts = np.concatenate([target.counts for target in targets]).astype("d")
    totals = np.bincount(owners, weights=counts, minlength=len(targets))
    result: FloatsT = counts * (np.maximum(lengths - 1, 0) / np.maximum(totals, 1e-30))[owners]
    return result


def against(expected: CRFScores, scores: CRFScores, scheme: TagScheme) -> tuple[float, CRFScores]:
    """Compute the cross-entropy, summed over all sequences, and its gradient."""
    lattice = forward_backward(constrain(scores, scheme))
    pairs = zip(scores.potentials, expected.potentials, strict=True)
    loss = lattice.log_partition - sum(float((mine * theirs).sum(dtype="d")) for mine, theirs in pairs)
    return loss, lattice.marginals(scores) + expected * -1.0


def select_tags(scores: CRFScores, columns: IntsT) -> CRFScores:
    """The scores of some of the tags."""
    xp = get_array_module(scores.emissions)
    index = xp.asarray(columns)
    transitions = scores.transitions[index[:, None], index]
    return scores.with_potentials([scores.emissions[:, index], transitions, scores.starts[index], scores.ends[index]])


def add_tags(total: CRFScores, part: CRFScores, rows: IntsT, columns: IntsT) -> None:
    """Add a gradient of some rows and tags to that of all."""
    xp = get_array_module(total.emissions)
    row, index = xp.asarray(rows), xp.asarray(columns)
    dtype = total.emissions.dtype
    total.emissions[row[:, None], index] += part.emissions.astype(dtype)
    total.transitions[index[:, None], index] += part.transitions.astype(dtype)
    total.starts[index] += part.starts.astype(dtype)
    total.ends[index] += part.ends.astype(dtype)
