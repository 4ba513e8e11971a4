"""The shared encoder: any tok2vec, its vectors laid end to end, and an optional sharing layer."""

from typing import Any

from spacy.tokens import Doc
from thinc.api import Model, chain, list2ragged
from thinc.types import Floats2d, Ragged

from ..types import EncoderT, SharingT


def make_shared_encoder_v1(tok2vec: Model[list[Doc], list[Floats2d]], sharing: SharingT | None = None) -> EncoderT:
    """Build the encoder that all heads share.

    tok2vec (Model[list[Doc], list[Floats2d]]): A listener, or an encoder of the component's own.
    sharing (Model[Ragged, dict[str, Ragged]] | None): Gives each head its own view of the shared vectors; None is hard
        sharing, where all heads see the same. `attrs["heads"]` is set to the heads' names before it is initialised; its
        backprop takes the gradients of any of the heads and may be called once for each.
    """
    encoder: EncoderT = chain(tok2vec, list2ragged())
    layers: list[Model[Any, Any]] = [encoder] if sharing is None else [encoder, sharing]
    model: EncoderT = Model("shared_encoder", forward, init=init, layers=layers, dims={"nO": None})
    model.set_ref("encoder", encoder)
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("sharing", sharing)
    return model


def forward(model: EncoderT, docs: list[Doc], is_train: bool) -> tuple[Ragged, Any]:
    """The shared vectors, before any sharing layer."""
    return model.get_ref("encoder")(docs, is_train)


def init(model: EncoderT, X: list[Doc] | None = None, Y: Any = None) -> None:
    """Initialise the layers with the sample's docs and shared vectors. The width is what the encoder gives."""
    encoder = model.get_ref("encoder")
    encoder.initialize(X)
    tokvecs = encoder.predict(X or [])
    model.set_dim("nO", tokvecs.data.shape[1], force=True)
    sharing = model.maybe_get_ref("sharing")
    if sharing is not None:
        sharing.initialize(tokvecs)
