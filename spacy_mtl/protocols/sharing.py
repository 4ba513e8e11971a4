"""What the component knows of a sharing layer."""

from dataclasses import dataclass

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ragged


@dataclass
class SharingInput:
    """Input of a sharing layer. Its gradient has the same form, with an empty `docs`.

    docs (list[Doc]): The batch. `origin.corpus_of` returns the name of a doc's corpus.
    tokvecs (Ragged): Token vectors of all docs end to end, data (n_tokens, width), lengths (n_docs,).
    """

    docs: list[Doc]
    tokvecs: Ragged


# token vectors -> for each head name the token vectors that this head sees
#
# The layer keeps in its `attrs`:
#   heads        the heads that it has parts for, set before it is initialised
#   corpora      the corpora of the training, likewise, for layers that declare it
#   mixes_heads  whether what one head sees depends on the parts of another. If so, or if the layer does not say, the
#                parts of a head that is removed are kept.
SharingT = Model[SharingInput, dict[str, Ragged]]
