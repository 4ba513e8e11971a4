"""A learned scalar mix of the encoder's layers for each head."""

from collections.abc import Callable, Mapping
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..layers.softmax import softmax
from ..protocols.arrays import ArrayT
from ..protocols.sharing import SharingInput, SharingT


def make_layer_mix_v1(n_layers: int) -> SharingT:
    """Build a scalar mix of the encoder's layers for each head: `gamma * sum_j softmax(scores)_j * layer_j` (Peters et
    al. 2018, "Deep contextualized word representations", NAACL; which layers a task uses: Tenney et al. 2019, "BERT
    Rediscovers the Classical NLP Pipeline", ACL). Each head learns its own `scores`, which start equal, and its own
    `gamma`, which starts at 1.

    The encoder must concatenate its layers, as `spacy_mtl.TransformerEncoder.v1` does with `layers = "all"`: shared
    vectors are `(n_tokens, n_layers * width)`, and each head sees `(n_tokens, width)`.

    n_layers (int): Number of layers that the encoder concatenates. For a transformer it is `num_hidden_layers + 1`,
        since the embedding counts as a layer.
    """
    if n_layers < 1:
        raise ValueError(f"LayerMix: n_layers is {n_layers}; it must be at least 1")
    attrs: dict[str, Any] = {"heads": [], "n_layers": n_layers, "mixes_heads": False}
    model: SharingT = Model("layer_mix", forward, init=init, dims={"nI": None, "nO": None}, attrs=attrs)
    return model


def forward(model: SharingT, X: SharingInput, is_train: bool) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: The view of each head, and backprop, which takes the gradients of the views of any heads."""
    lengths = X.tokvecs.lengths
    n_layers, width = model.attrs["n_layers"], model.get_dim("nO")
    tokvecs: ArrayT = X.tokvecs.dataXd
    layers = tokvecs.reshape(-1, n_layers, width)
    mixed = {head: mix(model, head, layers) for head in model.attrs["heads"]}

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        d_layers = layers * 0
        for head, d_view in d_views.items():
            d_layers += mixed[head][1](d_view.dataXd)
        return SharingInput([], Ragged(d_layers.reshape(-1, n_layers * width), lengths))

    return {head: Ragged(view, lengths) for head, (view, _) in mixed.items()}, backprop


def mix(model: SharingT, head: str, layers: ArrayT) -> tuple[Floats2d, Callable[[ArrayT], ArrayT]]:
    """Mix the layers for one head.

    model (Model): The sharing layer.
    head (str): Name of the head.
    layers (Floats3d): Outputs of the layers, (n_tokens, n_layers, width).
    RETURNS: The mix (n_tokens, width), and backprop: dY -> d_layers.
    """
    weights = softmax(_get(model, f"{head}/scores")[None])[0]
    gamma = _get(model, f"{head}/gamma")
    mean = weights @ layers

    def backprop(dY: ArrayT) -> ArrayT:
        d_weights = gamma * (layers * dY[:, None]).sum(axis=(0, 2))
        model.inc_grad(f"{head}/scores", weights * (d_weights - (weights * d_weights).sum()))
        model.inc_grad(f"{head}/gamma", (dY * mean).sum().reshape(1))
        return gamma * weights[:, None] * dY[:, None]

    return gamma * mean, backprop


def init(model: SharingT, X: SharingInput | None = None, Y: Any = None) -> None:
    """Initialise the scores and gamma of each head. Raises a ValueError if the width is no multiple of n_layers."""
    assert X is not None
    n_in, n_layers = X.tokvecs.dataXd.shape[-1], model.attrs["n_layers"]
    if n_in % n_layers:
        raise ValueError(
            f"LayerMix: the encoder's vectors are {n_in} wide, which is no multiple of n_layers = {n_layers}. Set "
            'layers = "all" in spacy_mtl.TransformerEncoder.v1, and n_layers to its num_hidden_layers + 1'
        )
    model.set_dim("nI", n_in)
    model.set_dim("nO", n_in // n_layers)
    for head in model.attrs["heads"]:
        model.set_param(f"{head}/scores", model.ops.alloc1f(n_layers))
        model.set_param(f"{head}/gamma", model.ops.alloc1f(1) + 1.0)


def layer_weights(model: SharingT) -> dict[str, list[float]]:
    """Return the weight of each layer in the mix of each head, the embedding first. Each list sums to 1.

    For a pipeline: `layer_weights(nlp.get_pipe("multitask").encoder.get_ref("sharing"))`.
    """
    return {
        head: [float(weight) for weight in softmax(_get(model, f"{head}/scores")[None])[0]]
        for head in model.attrs["heads"]
    }


def _get(model: SharingT, param: str) -> ArrayT:
    return model.get_param(param)
