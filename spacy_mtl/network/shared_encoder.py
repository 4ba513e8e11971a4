"""The shared encoder: any tok2vec, its vectors laid end to end, and an optional sharing layer."""

from typing import Any

from spacy.tokens import Doc
from thinc.api import Model, Optimizer, chain
from thinc.types import Floats2d, Ragged

from ..layers.optimizer_step import finish_layers
from ..layers.slices import slices2ragged
from ..protocols.arrays import EncoderT
from ..protocols.sharing import SharingInput, SharingT


def make_shared_encoder_v1(tok2vec: Model[list[Doc], list[Floats2d]], sharing: SharingT | None = None) -> EncoderT:
    """Build the encoder that all heads share.

    tok2vec (Model[list[Doc], list[Floats2d]]): A listener, or an encoder of the component's own.
    sharing (Model[SharingInput, dict[str, Ragged]] | None): Sharing layer that gives each head its own view of the
        shared vectors, from the registry `mtl_sharing`. Null is hard sharing: all heads see the same vectors.
    """
    encoder: EncoderT = chain(tok2vec, slices2ragged())
    layers: list[Model[Any, Any]] = [encoder] if sharing is None else [encoder, sharing]
    model: EncoderT = Model("shared_encoder", forward, init=init, layers=layers, dims={"nO": None})
    model.set_ref("encoder", encoder)
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("sharing", sharing)
    return model


def forward(model: EncoderT, docs: list[Doc], is_train: bool) -> tuple[Ragged, Any]:
    """Compute the shared vectors, before any sharing layer."""
    return model.get_ref("encoder")(docs, is_train)


def init(model: EncoderT, X: list[Doc] | None = None, Y: Any = None) -> None:
    """Initialize the layers with the sample's docs and shared vectors. The encoder determines the width."""
    encoder = model.get_ref("encoder")
    encoder.initialize(X)
    tokvecs = encoder.predict(X or [])
    model.set_dim("nO", tokvecs.data.shape[1], force=True)
    sharing = model.maybe_get_ref("sharing")
    if sharing is not None:
        sharing.initialize(SharingInput(X or [], tokvecs))


def finish_encoder(model: EncoderT, sgd: Optimizer) -> None:
    """Update the encoder with the optimizer, and of the sharing layer only what received a gradient: the parts of heads
    and corpora for which the batch had no gold stay exactly as they were.
    """
    sharing = model.maybe_get_ref("sharing")
    if sharing is None:
        finish_layers([model], sgd)
        return
    finish_layers([model.get_ref("encoder")], sgd)
    for node in sharing.walk():
        for shim in node.shims:
            shim.finish_update(sgd)
        for name in node.param_names:
            if node.has_grad(name) and node.get_grad(name).any():
                param, gradient = sgd((node.id, name), node.get_param(name), node.get_grad(name))
                node.set_param(name, param)
                node.set_grad(name, gradient)
