"""The embeddings that the first convolution reads, for explanations (`protocols/embeddings.py`)."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.util import to_numpy

from ...layers.dropout import dropout
from ...protocols.arrays import ArrayT, Tok2VecT
from ...protocols.embeddings import Embedded
from .kernels import kernels_for
from .rare_words import hide_unseen
from .thinc_nodes import find_network, network_weights
from .window_encoder import begin_encode
from .word_vectors import distinct_words, embed

# number of words that do not exist
N_MADE_UP = 256


def embed_docs(model: Tok2VecT, docs: Sequence[Doc]) -> Embedded:
    """Get one vector for each token: the mixed hash embeddings of its features. The baseline is the mean vector of
    words that do not exist. Zeros would be none: layer norm makes as much of tiny vectors as of others, so that the way
    from zeros begins with a leap. The weights are copied, so training may go on meanwhile.
    """
    network = find_network(model)
    kernels = kernels_for(network.ops, sum(map(len, docs)))
    weights = network_weights(network, look_up=False).share(kernels)
    filled = [doc for doc in docs if len(doc)]
    columns = network.embedding.columns(filled[0].vocab)
    words = distinct_words(filled, columns)
    features = words.features
    if network.root.attrs["rare_word_dropout"]:
        features = hide_unseen(features, network.embedding.hashed, network.root.attrs["word_counts"])
    of_word = to_numpy(kernels.unshare(embed(features, network.embedding, weights.mix, filled, kernels)))
    ids = np.arange(1, N_MADE_UP + 1, dtype=features.dtype)[:, None].repeat(len(network.embedding.tables), axis=1)
    hashed = network.embedding._replace(static=None)
    # without the tap of static vectors, which made-up words lack
    mix = weights.mix._replace(taps=weights.mix.taps[: len(hashed.tables)])
    of_made_up = to_numpy(kernels.unshare(embed(ids, hashed, mix, filled, kernels)))
    # The forward pass of training has a backprop, but training may have left a dropout rate.
    blocks = [block._replace(dropout=dropout()) for block in network.encoder.blocks]
    encoder = network.encoder._replace(blocks=blocks)
    as_own: Callable[[ArrayT], ArrayT] = network.ops.asarray
    plan = encoder.plan([len(doc) for doc in filled], look_up=False)

    def encode(vectors: NDArray[np.float32]) -> tuple[ArrayT, Callable[[ArrayT], NDArray[np.float32]]]:
        X = kernels.zeros(len(vectors) + 1, vectors.shape[1])
        X[1:] = kernels.share(as_own(vectors))
        Y, backprop = begin_encode(X, plan, encoder, weights.layers, kernels=kernels)

        def backprop_to_vectors(d_tokvecs: ArrayT) -> NDArray[np.float32]:
            dX, _ = backprop.to_all(kernels.share(as_own(d_tokvecs)), True)
            d_vectors: NDArray[np.float32] = to_numpy(kernels.unshare(dX))[1:]
            return d_vectors

        return kernels.unshare(Y), backprop_to_vectors

    vectors = of_word[words.of_token]
    baseline = np.repeat(of_made_up.mean(axis=0, keepdims=True), len(vectors), axis=0)
    return Embedded(vectors, baseline, np.arange(len(vectors)), encode)
