"""The gradient of each loss at the parameters of the last shared layer, for encoders that can compute it."""

from collections.abc import Mapping
from typing import Any

from spacy.language import Language
from thinc.api import Model
from thinc.types import Floats1d, Floats2d

from ..layers.last_layer import LAST_LAYER, LastLayer
from ..protocols.arrays import EncoderT
from .finite_gradients import check_gradient
from .listeners import find_listeners, find_upstream


def want_last_layer(encoder: EncoderT, nlp: Language | None, name: str, weighting: str) -> LastLayer:
    """Ask the encoder, or the one that it listens to, to keep the backprop of its last layer in training.

    encoder (EncoderT): The component's encoder.
    nlp (Language | None): The pipeline, to find the pipe that a listener listens to.
    name (str): The component's name, for the error.
    weighting (str): Name of the weighting that needs it, for the error.
    RAISES ValueError: The encoder can't compute these gradients on their own.
    """
    models: list[Model[Any, Any]] = [encoder]
    listeners = find_listeners(encoder)
    if nlp is not None:
        pipes: list[Any] = [nlp.get_pipe(find_upstream(node, nlp, name)) for node in listeners]
        models.extend(pipe.model for pipe in pipes)
    elif listeners:
        raise ValueError(
            f"component {name!r}: the weighting {weighting} needs the gradients of the last shared layer, but the pipe "
            "that the component listens to is known only after nlp.initialize, which sourced and loaded components do "
            'not run; call nlp.replace_listeners, set at = "vectors" if the weighting has that option, or use another '
            "weighting"
        )
    found = [node.attrs[LAST_LAYER] for model in models for node in model.walk() if LAST_LAYER in node.attrs]
    if not found:
        raise ValueError(
            f"component {name!r}: the weighting {weighting} needs the gradients of the last shared layer, which this "
            "encoder does not give; use spacy_mtl.HashEmbedCNN.v1 or spacy_mtl.MultiHashEmbedCNN.v1 as its tok2vec, "
            'at = "vectors" if the weighting has that option, or another weighting'
        )
    last_layer: LastLayer = found[-1]
    last_layer.wanted = True
    return last_layer


def last_layer_gradients(last_layer: LastLayer, gradients: Mapping[str, Floats2d]) -> dict[str, Floats1d]:
    """Turn gradients at the vectors, (n_tokens, width), into those at the last layer's parameters, (n_params,).

    RAISES NotFinite: One of them is NaN or infinite; the error names the head.
    """
    assert last_layer.backprop is not None
    found = {name: last_layer.backprop(gradient) for name, gradient in gradients.items()}
    for name, gradient in found.items():
        check_gradient(gradient, f"head {name!r}")
    return found
