"""spaCy's Tok2VecListener with a check of its batch that does not loop over tokens in Python."""

from collections.abc import Iterable

import numpy as np
from spacy.attrs import ORTH
from spacy.pipeline import tok2vec
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d


def make_tok2vec_listener_v1(width: int, upstream: str = "*") -> Model[list[Doc], list[Floats2d]]:
    """Build a listener that works like `spacy.Tok2VecListener.v1`, but checks its batch without a loop over tokens.

    width (int): Width of the vectors of the pipe that it listens to.
    upstream (str): Name of that pipe; `"*"` is any.
    """
    return Tok2VecListener(upstream_name=upstream, width=width)


class Tok2VecListener(tok2vec.Tok2VecListener):
    """Listener that recognises its batch by the sum of all ORTH values.

    It has the name of its base class because `spacy pretrain` recognises listeners by the name of their class.
    """

    @classmethod
    def get_batch_id(cls, inputs: Iterable[Doc]) -> int:
        """Compute the exact sum of all ORTH values. It exceeds 64 bits, so both halves of them are summed apart."""
        docs = [doc.to_array(ORTH) for doc in inputs]
        values = np.concatenate(docs).astype("uint64") if docs else np.zeros(0, dtype="uint64")
        return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
