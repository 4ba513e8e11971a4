"""The whole network: the shared encoder and every head, in the order in which heads see each other's scores."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..protocols.arrays import EncoderT, ScoresT
from ..protocols.head import Head, HeadInput
from ..protocols.sharing import SharingInput, SharingT
from ..protocols.weighting import Weighting
from ..threads.torch_threads import use_one_thread_after_forks
from .finite_gradients import check_gradient, check_layer

AllScoresT = dict[str, ScoresT]
GradientsT = dict[str, Floats2d]
MultitaskModelT = Model[list[Doc], AllScoresT]


def build_multitask_model(encoder: EncoderT, heads: Mapping[str, Head], weighting: Weighting) -> MultitaskModelT:
    """Build the network of a component.

    heads (Mapping[str, Head]): The heads by name, in the order in which they run. Their layers are ordered by name,
        since a config that was saved and read back may list them in another order.
    weighting (Weighting): Merges the heads' gradients; its model, if it has one, is trained and saved along.
    """
    use_one_thread_after_forks()
    extra: list[Model[Any, Any]] = [] if weighting.model is None else [weighting.model]
    layers: list[Model[Any, Any]] = [encoder, *(heads[name].model for name in sorted(heads)), *extra]
    model: MultitaskModelT = Model(
        "multitask", partial(forward, heads=dict(heads), weighting=weighting), layers=layers, refs={"encoder": encoder}
    )
    # where `spacy pretrain` and `spacy debug model` look for it
    model.set_ref("tok2vec", encoder.maybe_get_ref("tok2vec"))
    return model


def forward(
    model: MultitaskModelT, docs: list[Doc], is_train: bool, *, heads: Mapping[str, Head], weighting: Weighting
) -> tuple[AllScoresT, Any]:
    """RETURNS: each head's scores, and backprop: {head: d_scores} -> d_docs. Heads may be left out of the gradients; if
    all are, the encoder gets zeros. Raises a NotFinite if a gradient is NaN or infinite; the encoder has none then.
    """
    tokvecs, bp_tokvecs = model.get_ref("encoder")(docs, is_train)
    scores, bp_heads = run_heads(model, heads, docs, tokvecs, is_train=is_train)

    def backprop(d_scores: AllScoresT) -> list[Doc]:
        d_heads = bp_heads(d_scores)
        d_tokvecs = weighting.merge(d_heads) if d_heads else tokvecs.dataXd * 0
        check_gradient(d_tokvecs, f"weighting {type(weighting).__name__}")
        return bp_tokvecs(Ragged(d_tokvecs, tokvecs.lengths))

    return scores, backprop


def run_heads(
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    docs: list[Doc],
    tokvecs: Ragged,
    *,
    is_train: bool,
    only: Collection[str] | None = None,
) -> tuple[AllScoresT, Callable[[AllScoresT], GradientsT]]:
    """Run the heads on the shared vectors. `model` may be a copy of the network that `heads` belong to.

    only (Collection[str] | None): The heads to run, with all that they are conditioned on; None for every head.
    RETURNS: scores by head, and backprop: {head: d_scores} -> {head: d_tokvecs (n_tokens, width)}. Heads that are left
        out of the gradients, and on whose scores no other head's gradient falls, are not touched.
    """
    layers = dict(zip(sorted(heads), model.layers[1:], strict=False))
    sharing = model.get_ref("encoder").maybe_get_ref("sharing")
    views, bp_sharing = _share(sharing, heads, SharingInput(docs, tokvecs), is_train)
    scores: AllScoresT = {}
    bp_conditions: dict[str, dict[str, Any]] = {}
    bp_scores: dict[str, Any] = {}
    for name, head in heads.items():
        if only is not None and name not in only:
            continue
        conditions, bp_conditions[name] = [], {}
        for other in head.condition_on:
            condition, bp_conditions[name][other] = heads[other].condition(scores[other], tokvecs.lengths)
            conditions.append(condition)
        scores[name], bp_scores[name] = layers[name](HeadInput(docs, views[name], conditions), is_train)

    def backprop(d_scores: AllScoresT) -> GradientsT:
        d_scores, d_tokvecs = dict(d_scores), {}
        for name in reversed(list(heads)):
            if name not in d_scores:
                continue
            d_input = bp_scores[name](d_scores[name])
            d_tokvecs[name] = bp_sharing(name, d_input.tokvecs)
            check_layer(layers[name], d_tokvecs[name], f"head {name!r}")
            for other, d_condition in zip(heads[name].condition_on, d_input.conditions, strict=True):
                d_other = bp_conditions[name][other](d_condition)
                d_scores[other] = d_scores[other] + d_other if other in d_scores else d_other
        return d_tokvecs

    return scores, backprop


def _share(
    sharing: SharingT | None, heads: Mapping[str, Head], X: SharingInput, is_train: bool
) -> tuple[Mapping[str, Ragged], Callable[[str, Ragged], Floats2d]]:
    if sharing is None:
        return dict.fromkeys(heads, X.tokvecs), lambda name, d_view: d_view.dataXd
    views, backprop = sharing(X, is_train)
    return views, lambda name, d_view: backprop({name: d_view}).tokvecs.dataXd
