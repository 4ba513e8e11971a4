"""A suggester of spans that are subtrees of a dependency parse."""

from collections.abc import Iterable

import numpy as np
from spacy.pipeline.spancat import Suggester
from spacy.tokens import Doc
from thinc.api import Ops, get_current_ops
from thinc.types import Ragged

from ...protocols.arrays import ArrayT


def make_subtree_suggester_v1(max_size: int | None = None) -> Suggester:
    """Build a suggester of the spans that a token and all that hangs from it take up. Where arcs cross, a span also has
    the tokens in between. Docs must be parsed by an earlier component, in training too
    (`training.annotating_components`).

    max_size (int | None): Maximum number of tokens of a span; null for any.
    """
    if max_size is not None and max_size < 1:
        raise ValueError(f"subtree_suggester: max_size is {max_size}; it must be at least 1, or null")

    def suggest(docs: Iterable[Doc], *, ops: Ops | None = None) -> Ragged:
        rows = [_subtrees(doc, max_size) for doc in docs]
        xp_ops = ops or get_current_ops()
        lengths = xp_ops.asarray1i([len(own) for own in rows])
        places: ArrayT = np.concatenate([np.zeros((0, 2), dtype="i"), *rows])
        return Ragged(xp_ops.asarray2i(places), lengths)

    return suggest


def _subtrees(doc: Doc, max_size: int | None) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Start and end of the subtrees of a doc, each once, in the order of the text, (n, 2)."""
    if len(doc) and not doc.has_annotation("DEP"):
        raise ValueError(
            f"subtree_suggester: the doc {doc.text[:40]!r} is not parsed; run a parser before, in training too, with "
            "[training.annotating_components]"
        )
    found = {(token.left_edge.i, token.right_edge.i + 1) for token in doc}
    kept = sorted((start, end) for start, end in found if max_size is None or end - start <= max_size)
    return np.array(kept, dtype="i").reshape(-1, 2)
