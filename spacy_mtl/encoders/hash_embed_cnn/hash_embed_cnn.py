"""spaCy's HashEmbedCNN, computed several times faster.

The network is spaCy's own tree of thinc nodes. It holds the parameters and can be saved, loaded, pretrained and
optimised like any other; only the forward function at its root is replaced.
"""

from collections.abc import Sequence
from typing import Literal

from spacy.attrs import intify_attr
from spacy.ml.models.tok2vec import MaxoutWindowEncoder, MultiHashEmbed, build_Tok2Vec_model

from ...layers.last_layer import LAST_LAYER, LastLayer
from ...layers.optimizer_step import move_together
from ...protocols.arrays import Tok2VecT
from ...protocols.embeddings import EMBED
from .forward import forward
from .piece_layer import use_piece_vectors
from .rare_words import WordCounts, word_index
from .word_cache import WordCache
from .word_embeddings import embed_docs

BoundaryT = Literal["padded", "zero"]


def make_hash_embed_cnn_v1(
    width: int,
    depth: int,
    embed_size: int,
    window_size: int,
    maxout_pieces: int,
    subword_features: bool,
    pretrained_vectors: bool | None,
    boundary: BoundaryT = "padded",
    word_dropout: float = 0.0,
    rare_word_dropout: float = 0.0,
    rare_word_power: float = 1.0,
    piece_vectors: str | None = None,
) -> Tok2VecT:
    """Build the encoder that computes the same token vectors, `(n_tokens, width)`, as `spacy.HashEmbedCNN.v2`, several
    times faster. Weights are interchangeable. Torch is used if it is installed.

    width (int): Width of the token vectors.
    depth (int): Number of convolutions, at least 1.
    embed_size (int): Number of rows of the hash table for NORM; the tables of the subword features have half as many.
    window_size (int): Number of neighbours that a convolution sees on either side. 1 is the fastest.
    maxout_pieces (int): Number of linear functions; each output is the maximum of that many.
    subword_features (bool): Embed PREFIX, SUFFIX and SHAPE as well as NORM.
    pretrained_vectors (bool | None): Also use the static vectors of the vocab.
    boundary (str): What a convolution sees outside a doc. `"padded"`: the values that the previous layer computed
        there, as in spaCy, so that equal weights give equal vectors. `"zero"`: zeros, which is faster but only suits
        models trained with it.
    word_dropout (float): Probability that a token gets a random word in training. Its other attributes stay.
    rare_word_dropout (float): Replace rare words by the unknown word in training; 0 switches this off. A word that
        occurs in n texts is replaced with the probability
        `rare_word_dropout / (rare_word_dropout + n ** rare_word_power)`. Docs made by `SwapEntities` are not counted.
        In prediction, every word that training has not seen is replaced.
    rare_word_power (float): Exponent of n. At 3.0, few words but those seen once are replaced.
    piece_vectors (str | None): Folder that `python -m spacy mtl vectors --pieces` wrote: static vectors of all words,
        made from those of their pieces. They are read at initialisation and saved with the encoder, in the place of
        static vectors of the vocab.
    """
    attrs = ["NORM", "PREFIX", "SUFFIX", "SHAPE"] if subword_features else ["NORM"]
    return make_multi_hash_embed_cnn_v1(
        width=width,
        attrs=attrs,
        rows=[embed_size, *([embed_size // 2] * (len(attrs) - 1))],
        include_static_vectors=bool(pretrained_vectors),
        depth=depth,
        window_size=window_size,
        maxout_pieces=maxout_pieces,
        boundary=boundary,
        word_dropout=word_dropout,
        rare_word_dropout=rare_word_dropout,
        rare_word_power=rare_word_power,
        piece_vectors=piece_vectors,
    )


def make_multi_hash_embed_cnn_v1(
    width: int,
    attrs: Sequence[str | int],
    rows: list[int],
    include_static_vectors: bool,
    depth: int,
    window_size: int,
    maxout_pieces: int,
    boundary: BoundaryT = "padded",
    word_dropout: float = 0.0,
    rare_word_dropout: float = 0.0,
    rare_word_power: float = 1.0,
    piece_vectors: str | None = None,
) -> Tok2VecT:
    """Build the encoder that computes the same token vectors, `(n_tokens, width)`, as `spacy.Tok2Vec.v2` with
    `spacy.MultiHashEmbed.v2` and `spacy.MaxoutWindowEncoder.v2`, several times faster, for any token attributes.
    Weights are interchangeable. Torch is used if it is installed.

    width (int): Width of the token vectors.
    attrs (list[str | int]): Token attributes to embed.
    rows (list[int]): Number of rows of the hash table of each attribute.
    include_static_vectors (bool): Also use the static vectors of the vocab.
    depth (int): Number of convolutions, at least 1.
    window_size (int): Number of neighbours that a convolution sees on either side. 1 is the fastest.
    maxout_pieces (int): Number of linear functions; each output is the maximum of that many.
    boundary (str): What a convolution sees outside a doc. `"padded"`: the values that the previous layer computed
        there, as in spaCy, so that equal weights give equal vectors. `"zero"`: zeros, which is faster but only suits
        models trained with it.
    word_dropout (float): Probability that a token gets a random word in training. Its other attributes stay.
    rare_word_dropout (float): Replace rare words by the unknown word in training; 0 switches this off. A word that
        occurs in n texts is replaced with the probability
        `rare_word_dropout / (rare_word_dropout + n ** rare_word_power)`. Docs made by `SwapEntities` are not counted.
        In prediction, every word that training has not seen is replaced. `attrs` must contain ORTH, LOWER, NORM or
        LEMMA.
    rare_word_power (float): Exponent of n. At 3.0, few words but those seen once are replaced.
    piece_vectors (str | None): Folder that `python -m spacy mtl vectors --pieces` wrote: static vectors of all words,
        made from those of their pieces. They are read at initialisation and saved with the encoder, in the place of
        static vectors of the vocab.
    """
    if depth < 1:
        raise ValueError(f"HashEmbedCNN: depth is {depth}, expected at least 1; for no convolution use MultiHashEmbed")
    if boundary not in ("padded", "zero"):
        raise ValueError(f"HashEmbedCNN: boundary is {boundary!r}, expected 'padded' or 'zero'")
    if not 0.0 <= word_dropout < 1.0:
        raise ValueError(f"HashEmbedCNN: word_dropout is {word_dropout}, expected a number from 0 to below 1")
    if rare_word_dropout < 0.0:
        raise ValueError(f"HashEmbedCNN: rare_word_dropout is {rare_word_dropout}, expected 0 or a positive number")
    if rare_word_power <= 0.0:
        raise ValueError(f"HashEmbedCNN: rare_word_power is {rare_word_power}, expected a positive number")
    if piece_vectors is not None and include_static_vectors:
        raise ValueError(
            f"HashEmbedCNN: piece_vectors is {piece_vectors!r}, so the static vectors of the vocab can't be used as "
            "well; set pretrained_vectors (or include_static_vectors) to false, or piece_vectors to null"
        )
    if rare_word_dropout:
        word_index([intify_attr(attr) for attr in attrs])
    model: Tok2VecT = move_together(
        build_Tok2Vec_model(
            embed=MultiHashEmbed(width, list(attrs), rows, include_static_vectors or piece_vectors is not None),
            encode=MaxoutWindowEncoder(width, window_size, maxout_pieces, depth),
        )
    )
    if piece_vectors is not None:
        use_piece_vectors(model, piece_vectors)
    model.replace_callbacks(forward, init=model.init)
    model.attrs["boundary"] = boundary
    model.attrs["word_dropout"] = word_dropout
    model.attrs["rare_word_dropout"] = rare_word_dropout
    model.attrs["rare_word_power"] = rare_word_power
    model.attrs["word_counts"] = WordCounts()
    model.attrs["words"] = WordCache()
    model.attrs[LAST_LAYER] = LastLayer()
    model.attrs[EMBED] = embed_docs
    return model


def load_spacy_weights(model: Tok2VecT, spacy_model: Tok2VecT) -> Tok2VecT:
    """Copy the weights of spaCy's encoder, trained or not.

    model (Model): The encoder to change.
    spacy_model (Model): A `spacy.HashEmbedCNN.v2` with the same settings, such as `nlp.get_pipe("tok2vec").model`.
    RETURNS (Model): `model`.
    """
    msg = spacy_model.to_bytes()
    if not model.can_from_bytes(msg, strict=False):
        raise ValueError(f"cannot load the weights of {spacy_model.name!r}: its settings differ from this model's")
    model.from_bytes(msg)
    return model
