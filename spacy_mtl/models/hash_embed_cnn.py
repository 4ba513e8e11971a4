"""spaCy's HashEmbedCNN, computed several times faster.

The network is spaCy's own tree of thinc nodes, which holds the parameters and can be saved, loaded, pretrained and
optimised like any other; only the function at its root is another.
"""

from collections.abc import Sequence
from typing import Literal

from spacy.attrs import intify_attr
from spacy.ml.models.tok2vec import MaxoutWindowEncoder, MultiHashEmbed, build_Tok2Vec_model

from ..layers.cnn_forward import Tok2VecT, forward
from ..layers.rare_words import WordCounts, place_of_word
from ..layers.word_cache import WordCache

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
) -> Tok2VecT:
    """The fast form of `spacy.HashEmbedCNN.v2`, with its parameters and some more.

    width (int): Width of the vectors.
    depth (int): Number of convolutions, at least 1.
    embed_size (int): Rows of the hash table for NORM; the tables of the subword features have half as many.
    window_size (int): Neighbours that a convolution sees on either side. 1 is faster than the rest.
    maxout_pieces (int): Linear functions that each output is the maximum of.
    subword_features (bool): Whether to embed PREFIX, SUFFIX and SHAPE beside NORM.
    pretrained_vectors (bool | None): Whether to use the static vectors of the vocab as well.
    boundary (str): What a convolution sees outside a doc. "padded": what the one before computed there, as in spaCy, so
        that equal weights give equal vectors; "zero": zeros, which is faster, for models trained with it.
    word_dropout (float): The probability that a token gets a random word in training; PREFIX, SUFFIX and SHAPE stay.
    rare_word_dropout (float): In training a word that was seen n times becomes the unknown word with a probability of
        rare_word_dropout / (rare_word_dropout + n ** rare_word_power). Texts that SwapEntities made are not counted. In
        prediction, words that training has not seen are the unknown word. 0: there is no unknown word.
    rare_word_power (float): How fast that falls with n. At 3.0 few but words that were seen once are dropped.
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
) -> Tok2VecT:
    """The fast form of `spacy.Tok2Vec.v2` with `spacy.MultiHashEmbed.v2` and `spacy.MaxoutWindowEncoder.v2`.

    attrs (list[str | int]): Token attributes to embed.
    rows (list[int]): Rows of the hash table of each attribute.
    include_static_vectors (bool): Whether to use the static vectors of the vocab as well.
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
    if rare_word_dropout:
        place_of_word([intify_attr(attr) for attr in attrs])
    model: Tok2VecT = build_Tok2Vec_model(
        embed=MultiHashEmbed(width, list(attrs), rows, include_static_vectors),
        encode=MaxoutWindowEncoder(width, window_size, maxout_pieces, depth),
    )
    model.replace_callbacks(forward, init=model.init)
    model.attrs["boundary"] = boundary
    model.attrs["word_dropout"] = word_dropout
    model.attrs["rare_word_dropout"] = rare_word_dropout
    model.attrs["rare_word_power"] = rare_word_power
    model.attrs["word_counts"] = WordCounts()
    model.attrs["words"] = WordCache()
    return model


def load_spacy_weights(model: Tok2VecT, spacy_model: Tok2VecT) -> Tok2VecT:
    """Copy the weights of spaCy's layer, trained or not.

    spacy_model (Model): A `spacy.HashEmbedCNN.v2` of the same settings, such as `nlp.get_pipe("tok2vec").model`.
    """
    msg = spacy_model.to_bytes()
    if not model.can_from_bytes(msg, strict=False):
        raise ValueError(f"cannot load the weights of {spacy_model.name!r}: its settings differ from this model's")
    model.from_bytes(msg)
    return model
