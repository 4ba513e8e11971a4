"""Occlusion (Zeiler & Fergus 2014): one forward pass without each token. It is slow, and it works with any encoder."""

import numpy as np
from spacy.attrs import LEMMA, MORPH, NORM, POS, TAG
from spacy.tokens import Doc

from ..protocols.arrays import ArrayT
from .target_function import Attribution, TargetFunction

# The word in the place of a token where an encoder does not offer its embeddings. Transformers of the BERT family know
# it; for others it is a word that they have not seen.
UNKNOWN = "[UNK]"
ATTRS = [NORM, LEMMA, TAG, POS, MORPH]


def occlusion(function: TargetFunction) -> Attribution:
    """Compute how much the value falls if a token's embeddings are replaced by the baseline. Where the encoder does not
    offer its embeddings, an unknown word replaces the token.
    """
    value = function.value_of_tokvecs(function.network.tokvecs)
    scores = [value - value_without(function, token) for token in range(function.n_tokens)]
    return Attribution(np.array(scores), value)


def value_without(function: TargetFunction, *tokens: int) -> float:
    """Compute the value of the doc without some of its tokens."""
    embedded = function.network.embedded
    if embedded is None:
        return function.value_of_tokvecs(function.network.encode_doc(without_tokens(function.network.doc, *tokens)))
    hidden = np.isin(embedded.owners, tokens)
    return function.value(embedded, np.where(hidden[:, None], embedded.baseline, embedded.vectors))


def without_tokens(doc: Doc, *tokens: int) -> Doc:
    """Copy a doc with the unknown word in the place of some tokens. The others keep their attributes."""
    words = [UNKNOWN if token.i in tokens else token.text for token in doc]
    changed = Doc(doc.vocab, words=words, spaces=[bool(token.whitespace_) for token in doc])
    values: ArrayT = doc.to_array(ATTRS)
    values[list(tokens)] = 0
    return changed.from_array(ATTRS, values)
