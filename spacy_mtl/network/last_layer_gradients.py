"""The gradient of each loss at the parameters of the last shared layer, for encoders that can compute it."""

from collections.abc import Iterable, Mapping
from typing import Any

from spacy.language import Language
from thinc.api import Model
from thinc.types import Floats1d, Floats2d

from ..layers.last_layer import LAST_LAYER, LastLayer
from ..protocols.arrays import EncoderT
from .listeners import find_listeners, find_upstream, upstream_of


def check_last_layer(encoder: EncoderT, nlp: Language, name: str, weighting: str) -> None:
    """Raise a ValueError if neither the encoder nor the one that it listens to can compute the gradients of its last
    layer on their own.

    nlp (Language): The pipeline, to find the pipe that a listener listens to.
    name (str): The component's name, for the error.
    weighting (str): Name of the weighting that needs the gradients, for the error.
    """
    pipes: list[Any] = [nlp.get_pipe(find_upstream(node, nlp, name)) for node in find_listeners(encoder)]
    if not _find([encoder, *(pipe.model for pipe in pipes)]):
        raise not_given(name, weighting)


def find_last_layer(encoder: EncoderT, name: str, weighting: str) -> LastLayer | None:
    """Find the last layer of the encoder that computed the vectors of this batch. None if no gradient flows into one:
    the pipe that a listener listens to is frozen.

    encoder (EncoderT): The component's encoder, after a forward pass in training.
    RAISES ValueError: The encoder can't compute these gradients on their own.
    """
    found = last_layer_of(encoder)
    if found is not None:
        return found if found.backprop is not None else None
    listeners = find_listeners(encoder)
    if listeners and all(upstream_of(listener) is None for listener in listeners):
        return None
    raise not_given(name, weighting)


def last_layer_of(encoder: EncoderT) -> LastLayer | None:
    """Find the last layer of the encoder that computed the vectors of this batch. None if there is none, or if the pipe
    that a listener listens to is frozen.
    """
    pipes = [pipe for pipe in map(upstream_of, find_listeners(encoder)) if pipe is not None]
    found = _find([encoder, *(pipe.model for pipe in pipes)])
    return found[-1] if found else None


def not_given(name: str, weighting: str) -> ValueError:
    """Build the error for an encoder without a last layer of its own."""
    return ValueError(
        f"component {name!r}: the weighting {weighting} needs the gradients of the last shared layer, which this "
        "encoder does not give; use spacy_mtl.HashEmbedCNN.v1, spacy_mtl.MultiHashEmbedCNN.v1 or "
        "spacy_mtl.TransformerEncoder.v1 (not compiled) as its tok2vec, or in the tok2vec pipe that it listens to; "
        'or set at = "vectors" if the weighting has that option; or use another weighting'
    )


def last_layer_gradients(last_layer: LastLayer, gradients: Mapping[str, Floats2d]) -> dict[str, Floats1d]:
    """Turn gradients at the vectors, (n_tokens, width), into those at the last layer's parameters, (n_params,)."""
    assert last_layer.backprop is not None
    return dict(zip(gradients, last_layer.backprop(list(gradients.values())), strict=True))


def _find(models: Iterable[Model[Any, Any]]) -> list[LastLayer]:
    return [node.attrs[LAST_LAYER] for model in models for node in model.walk() if LAST_LAYER in node.attrs]
