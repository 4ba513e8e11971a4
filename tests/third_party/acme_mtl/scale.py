"""A sharing layer: each head sees the shared vectors times a learned number of its own."""

from thinc.api import Model
from thinc.types import Ragged

from spacy_mtl.protocols.sharing import SharingInput


def make_scale_v1():
    """Build the layer."""
    return Model("scale", forward, init=init, attrs={"heads": [], "corpora": []})


def forward(model, X, is_train):
    """RETURNS: each head's view, and backprop of the views of any heads."""
    tokvecs = X.tokvecs.dataXd
    scales = {head: model.get_param(head) for head in model.attrs["heads"]}

    def backprop(d_views):
        d_tokvecs = tokvecs * 0
        for head, d_view in d_views.items():
            model.inc_grad(head, (d_view.dataXd * tokvecs).sum().reshape(1))
            d_tokvecs += d_view.dataXd * scales[head]
        return SharingInput([], Ragged(d_tokvecs, X.tokvecs.lengths))

    return {head: Ragged(tokvecs * scale, X.tokvecs.lengths) for head, scale in scales.items()}, backprop


def init(model, X=None, Y=None):
    """Begin at 1."""
    for head in model.attrs["heads"]:
        model.set_param(head, model.ops.alloc1f(1) + 1.0)
