"""The whole network: the shared encoder and all heads, in an order in which each head sees the scores it needs."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..protocols.arrays import ArrayT, EncoderT, PreparedT, ScoresT
from ..protocols.between_heads import GivesCondition, TakesConditions
from ..protocols.fits import fits
from ..protocols.head import Head, HeadInput, HeadModelT
from ..protocols.sharing import SharingInput, SharingT
from ..protocols.weighting import Weighting
from ..threads.torch_threads import use_one_thread_after_forks
from .finite_gradients import NotFinite, check_gradient, check_layer, drop_gradients

AllScoresT = dict[str, ScoresT]
MultitaskModelT = Model[list[Doc], AllScoresT]
# head name, scores of the heads before it -> what the head's network gets as `prepared`
PrepareT = Callable[[str, Mapping[str, ScoresT]], PreparedT]
ViewsT = dict[str, Ragged]


def build_multitask_model(encoder: EncoderT, heads: Mapping[str, Head], weighting: Weighting) -> MultitaskModelT:
    """Build the network of a component.

    encoder (EncoderT): The shared encoder.
    heads (Mapping[str, Head]): The heads by name, in the order in which they run. Their layers are ordered by name,
        since a config that was saved and read back may list them in another order.
    weighting (Weighting): The weighting. If it has a model, that becomes a layer too.
    """
    use_one_thread_after_forks()
    extra: list[Model[Any, Any]] = [] if weighting.model is None else [weighting.model]
    layers: list[Model[Any, Any]] = [encoder, *(heads[name].model for name in sorted(heads)), *extra]
    model: MultitaskModelT = Model(
        "multitask", partial(forward, heads=dict(heads)), init=refuse_init, layers=layers, refs={"encoder": encoder}
    )
    # where `spacy pretrain` and `spacy debug model` look for it
    model.set_ref("tok2vec", encoder.maybe_get_ref("tok2vec"))
    return model


def forward(
    model: MultitaskModelT, docs: list[Doc], is_train: bool, *, heads: Mapping[str, Head]
) -> tuple[AllScoresT, Any]:
    """Run encoder and heads without gold, for spaCy's own tools. RETURNS: each head's scores, and backprop of the sum
    of the losses: {head: d_scores} -> d_docs. Heads may be left out of the gradients.
    """
    tokvecs, bp_tokvecs = model.get_ref("encoder")(docs, is_train)
    run = run_heads(model, heads, docs, tokvecs, is_train=is_train, prepare=prepare_nothing)
    return run.scores, lambda d_scores: bp_tokvecs(Ragged(run.backprop(d_scores), tokvecs.lengths))


def refuse_init(model: MultitaskModelT, X: Any = None, Y: Any = None) -> None:
    """Raise an error: the component initializes the parts of the network itself, with labels and gold. `spacy pretrain`
    gets here with `layer = ""`. It replaces a ValueError with one that names no fix, so this is another error.
    """
    raise RuntimeError(
        "multitask: its network as a whole can't be initialized or pretrained on texts, only its encoder can; set "
        'layer = "tok2vec" in [pretraining]'
    )


def prepare_nothing(name: str, scores: Mapping[str, ScoresT]) -> None:
    """Leave `HeadInput.prepared` empty."""


@dataclass
class HeadsRun:
    """A forward pass of the heads, with its backprop.

    layers (Mapping[str, HeadModelT]): The heads' networks, by head name.
    tokvecs (Ragged): The shared vectors.
    sharing (SharingT | None): The sharing layer.
    scores (AllScoresT): By head name.
    skip_broken (bool): Whether to go on without heads whose loss or gradient is NaN or infinite.
    skipped (dict[str, NotFinite]): What was found, by head name. These heads take no part in the step.
    """

    heads: Mapping[str, Head]
    layers: Mapping[str, HeadModelT]
    tokvecs: Ragged
    sharing: SharingT | None
    bp_sharing: Callable[[ViewsT], Floats2d]
    skip_broken: bool = False
    skipped: dict[str, NotFinite] = field(default_factory=dict)
    scores: AllScoresT = field(default_factory=dict)
    bp_conditions: dict[str, dict[str, Any]] = field(default_factory=dict)
    bp_scores: dict[str, Any] = field(default_factory=dict)

    def backprop(self, d_scores: AllScoresT) -> Floats2d:
        """Backpropagate the sum of the losses in one pass.

        d_scores (AllScoresT): By head name, the gradient of the head's own loss. Heads that are left out, and on whose
            scores no other loss depends, are not touched.
        RAISES NotFinite: A gradient is NaN or infinite, and heads are not to be skipped; the error names the head.
        RETURNS (Floats2d): The gradient at the shared vectors, (n_tokens, width).
        """
        d_views = self._backprop_heads(d_scores)
        if not d_views:
            zeros: ArrayT = self.tokvecs.dataXd * 0
            return zeros
        return self.bp_sharing(d_views)

    def backprop_each(self, d_scores: AllScoresT) -> dict[str, Floats2d]:
        """Backpropagate each loss on its own, so that what reaches a head through a condition counts for the loss that
        it came from. The parameters of the heads and of the sharing layer get the sum, as in `backprop`.

        RETURNS (dict[str, Floats2d]): By the name of the loss's head, its gradient at the shared vectors, without the
            heads that are skipped.
        """
        found = {}
        for name, d_own in d_scores.items():
            found[name] = self.backprop({name: d_own})
            self.check(name, found[name])
        return {name: gradient for name, gradient in found.items() if name not in self.skipped}

    def check(self, name: str, gradient: ArrayT) -> None:
        """Check the gradient of a head's loss behind the head. If it is NaN or infinite, the head is skipped.

        RAISES NotFinite: Heads are not to be skipped.
        """
        try:
            check_gradient(gradient, f"head {name!r}")
        except NotFinite as error:
            self.skip(name, error)
            # It may have broken in the sharing layer, whose parameters have one gradient of all losses.
            if self.sharing is not None:
                drop_gradients(self.sharing)

    def skip(self, name: str, error: NotFinite) -> None:
        """Go on without a head: drop the gradients of its network. Raise the error if heads are not to be skipped."""
        if not self.skip_broken:
            raise error
        drop_gradients(self.layers[name])
        self.skipped[name] = error

    def backprop_alone(self, d_scores: AllScoresT) -> None:
        """Backpropagate losses to the parameters of their own heads, and no further: neither to the heads that these
        are conditioned on, nor to the sharing layer or the encoder.

        RAISES NotFinite: A gradient is NaN or infinite, and heads are not to be skipped; the error names the head.
        """
        for name, d_own in d_scores.items():
            self._backprop_head(name, d_own)

    def _backprop_heads(self, d_scores: AllScoresT) -> ViewsT:
        """Backpropagate to the heads' views of the shared vectors."""
        d_scores, d_views = dict(d_scores), {}
        for name in reversed(self.bp_scores):
            if name not in d_scores:
                continue
            d_input = self._backprop_head(name, d_scores[name])
            if d_input is None:
                continue
            d_views[name] = d_input.tokvecs
            for other, d_condition in zip(conditions_of(self.heads[name]), d_input.conditions, strict=True):
                d_other = self.bp_conditions[name][other](d_condition)
                d_scores[other] = d_scores[other] + d_other if other in d_scores else d_other
        return d_views

    def _backprop_head(self, name: str, d_own: ScoresT) -> HeadInput | None:
        """Backpropagate to the head's input. None if the head is skipped."""
        d_input: HeadInput = self.bp_scores[name](d_own)
        try:
            check_layer(self.layers[name], d_input.tokvecs.dataXd, f"head {name!r}")
        except NotFinite as error:
            self.skip(name, error)
            return None
        return d_input


def run_heads(
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    docs: list[Doc],
    tokvecs: Ragged,
    *,
    is_train: bool,
    prepare: PrepareT,
    only: Collection[str] | None = None,
) -> HeadsRun:
    """Run the heads on the shared vectors.

    model (MultitaskModelT): The network of the heads, or a copy of it.
    heads (Mapping[str, Head]): In the order in which they run.
    prepare (PrepareT): Builds what a head works on beside the vectors. Called when the head is about to run.
    only (Collection[str] | None): The heads to run, including all that they need; None for all heads.
    """
    layers = dict(zip(sorted(heads), model.layers[1:], strict=False))
    sharing = model.get_ref("encoder").maybe_get_ref("sharing")
    views, bp_sharing = _share(sharing, heads, SharingInput(docs, tokvecs), is_train)
    run = HeadsRun(heads, layers, tokvecs, sharing, bp_sharing)
    for name, head in heads.items():
        if only is not None and name not in only:
            continue
        conditions, run.bp_conditions[name] = [], {}
        for other in conditions_of(head):
            condition, run.bp_conditions[name][other] = condition_on(heads[other], run.scores[other], tokvecs)
            conditions.append(condition)
        head_input = HeadInput(docs, views[name], conditions, prepare(name, run.scores))
        run.scores[name], run.bp_scores[name] = layers[name](head_input, is_train)
    return run


def conditions_of(head: Head) -> tuple[str, ...]:
    """Get the names of the heads whose scores this head sees."""
    names: tuple[str, ...] = head.condition_on if fits(head, TakesConditions) else ()
    return names


def condition_on(head: Head, scores: ScoresT, tokvecs: Ragged) -> tuple[Any, Any]:
    """Get what other heads see of this head, and its backprop to the scores."""
    assert isinstance(head, GivesCondition)
    return head.condition(scores, tokvecs.lengths)


def _share(
    sharing: SharingT | None, heads: Mapping[str, Head], X: SharingInput, is_train: bool
) -> tuple[Mapping[str, Ragged], Callable[[ViewsT], Floats2d]]:
    """Get each head's view of the shared vectors, and the backprop of any of the views."""
    if sharing is None:
        return dict.fromkeys(heads, X.tokvecs), _sum_views
    views, backprop = sharing(X, is_train)
    return views, lambda d_views: backprop(d_views).tokvecs.dataXd


def _sum_views(d_views: ViewsT) -> Floats2d:
    """Give all heads the same vectors: there is no sharing layer."""
    gradients: list[ArrayT] = [d_view.dataXd for d_view in d_views.values()]
    total = gradients[0]
    for gradient in gradients[1:]:
        total = total + gradient
    return total
