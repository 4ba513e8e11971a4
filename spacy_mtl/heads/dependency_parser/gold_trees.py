"""Gold trees of a batch, as rows of the predicted tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from spacy.attrs import DEP, HEAD, SENT_START
from spacy.tokens import Doc
from spacy.training import Example

from ...gold import boundaries, is_same_tokenization, snippet, stored_values
from ...layers.ragged_rows import bounds
from ...protocols.arrays import BoolsT, IntsT
from .sentence_pieces import joined_starts

MISSING = -1
# tokens that a message names
N_NAMED = 6


@dataclass
class GoldTrees:
    """Gold of the tokens of a batch.

    deps (NDArray[uint64]): The dependency label as spaCy stores it, (n_tokens,), 0 where the gold is missing.
    heads (IntsT): The head's row, (n_tokens,); the token's own for a root, and where the gold is missing.
    starts (BoolsT): Whether a token begins a sentence, (n_tokens,).
    """

    deps: np.ndarray[tuple[int], np.dtype[np.uint64]]
    heads: IntsT
    starts: BoolsT


def gold_trees(examples: Sequence[Example]) -> GoldTrees:
    """Read the gold of a batch. A token is missing gold if its `dep` is unset, or if it or its head is not aligned one
    to one with a gold token. Arcs join the sentences that they connect, as in `doc.sents`.
    """
    offsets = bounds(np.array([len(eg.predicted) for eg in examples]))
    parts = [_gold_of(eg) for eg in examples]
    deps = np.concatenate([dep for dep, _, _ in parts])
    heads = np.concatenate([head + offset for (_, head, _), offset in zip(parts, offsets, strict=False)])
    starts = np.concatenate([start for _, _, start in parts])
    places = np.arange(len(heads))
    return GoldTrees(deps, heads, joined_starts(starts, places, heads))


def gold_deps(doc: Doc) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], IntsT]:
    """Read the labels, 0 where they are missing, and the heads of a doc, the token's own where they are missing."""
    values = doc.to_array([DEP, HEAD])
    deps = values[:, 0].astype("uint64")
    heads = np.arange(len(doc)) + values[:, 1].astype("int64")
    return deps, np.where(deps == 0, np.arange(len(doc)), heads)


def find_cycle(heads: IntsT) -> IntsT:
    """Find tokens whose heads go round in a circle, without end. A root, or a token without gold, is its own head.

    heads (IntsT): The head of each token, (n_tokens,).
    RETURNS (IntsT): The tokens that never reach one, (n,).
    """
    reached = heads
    for _ in range(len(heads).bit_length()):
        reached = reached[reached]
    return np.flatnonzero(heads[reached] != reached)


def describe_cycle(doc: Doc, name: str) -> str | None:
    """Describe what is wrong with the gold tree of a doc; None if nothing is."""
    _, heads = gold_deps(doc)
    tokens = find_cycle(heads)
    if not len(tokens):
        return None
    arcs = [f"{doc[int(token)].text!r} <- {doc[int(heads[token])].text!r}" for token in tokens[:N_NAMED]]
    return (
        f"head {name!r}: in doc {snippet(doc.text)} the heads of {len(tokens)} tokens go round in a circle, beginning "
        f"with token {int(tokens[0])}: {', '.join(arcs)} (token <- head); make one of them a root, which is its own "
        "head, or leave the dep of all of them unset"
    )


def _gold_of(example: Example) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], IntsT, BoolsT]:
    """Labels, heads and sentence starts of the predicted tokens of a doc."""
    reference, n_tokens = example.reference, len(example.predicted)
    starts = np.zeros(n_tokens, dtype=bool)
    if n_tokens:
        starts[0] = True
    if is_same_tokenization(example):
        starts |= stored_values(reference, SENT_START) == 1
        return *gold_deps(reference), starts
    own, gold = boundaries(example)
    first_characters = gold[np.flatnonzero(stored_values(reference, SENT_START) == 1)]
    starts[np.searchsorted(own[1:], first_characters, side="right").clip(max=max(n_tokens - 1, 0))] = True
    heads, labels = example.get_aligned_parse(projectivize=False)
    known = np.array([head is not None and bool(label) for head, label in zip(heads, labels, strict=True)], dtype=bool)
    places = np.arange(n_tokens)
    strings = reference.vocab.strings
    deps = np.array([strings[label] if has else 0 for label, has in zip(labels, known, strict=True)], dtype="uint64")
    return deps, np.where(known, [place if head is None else head for place, head in enumerate(heads)], places), starts
