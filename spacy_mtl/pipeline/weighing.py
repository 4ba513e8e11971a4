"""The losses of a batch, and what the weighting is given to make one gradient of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.util import logger
from thinc.api import Model
from thinc.types import Floats1d, Floats2d

from ..balance.gramian_weighting import weighted_sum
from ..network.finite_gradients import NotFinite, check_loss
from ..network.last_layer_gradients import check_last_layer, find_last_layer, last_layer_gradients
from ..network.run_heads import AllScoresT, HeadsRun
from ..protocols.arrays import EncoderT
from ..protocols.fits import fits
from ..protocols.head import Head
from ..protocols.head_labels import CountsGold, CountsUnits
from ..protocols.head_training import Adversarial
from ..protocols.weighting import (
    ComparesSometimes,
    LearnsByHead,
    MergesGradients,
    NeedsSeveralHeads,
    ReportsFactors,
    Step,
    Weighting,
)
from .head_views import HeadViews
from .taught_loss import get_loss_with_teacher

ONE_HEAD = (
    "component '%s': the weighting %s balances heads against each other, but the heads to balance are %s, so it "
    "changes nothing; add a head, or use spacy_mtl.Static.v1"
)


@dataclass
class Merged:
    """What the weighting made of the gradients of a step.

    d_tokvecs (Floats2d): The gradient at the shared vectors, (n_tokens, width).
    gradients (Mapping[str, Floats2d]): The gradient of each weighted loss at the shared vectors, by head; empty if only
        their sum was computed.
    last_layer (Mapping[str, Floats1d]): The same at the parameters of the last shared layer, if they were needed.
    factors (Mapping[str, float]): How much of each gradient is in the result, by head; 1.0 for heads without an entry.
    """

    d_tokvecs: Floats2d
    gradients: Mapping[str, Floats2d] = field(default_factory=dict)
    last_layer: Mapping[str, Floats1d] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)


class Weighing:
    """A component's weighting, and what it needs of the encoder and of the corpora."""

    def __init__(self, weighting: Weighting, heads: Mapping[str, Head], name: str) -> None:
        """weighting (Weighting): The weighting.
        heads (Mapping[str, Head]): All heads by name.
        name (str): The component's name, for messages.
        """
        self.weighting = weighting
        self.heads = heads
        self.name = name
        self._corpus_sizes: Mapping[str, int] = {}

    def of(self, weighting: Weighting, heads: Mapping[str, Head]) -> "Weighing":
        """The same for another weighting and other heads of the component."""
        other = Weighing(weighting, heads, self.name)
        other._corpus_sizes = self._corpus_sizes
        return other

    def prepare(self, encoder: EncoderT, nlp: Language) -> None:
        """Read what the weighting needs of the pipeline.

        RAISES ValueError: The weighting needs the last layer, and this encoder can't give it.
        """
        self._corpus_sizes = dict(nlp.meta.get("spacy_mtl", {}).get("corpus_sizes", {}))
        self._warn_of_one_head()
        if self.weighting.needs == "last_layer":
            check_last_layer(encoder, nlp, self.name, type(self.weighting).__name__)

    def _warn_of_one_head(self) -> None:
        """Log a warning if the weighting balances heads, and there are no two to balance. It is no error: a head of a
        joint config may be trained alone to compare.
        """
        names = [key for key, head in self.heads.items() if not (isinstance(head, Adversarial) and head.adversarial)]
        if len(names) < 2 and isinstance(self.weighting, NeedsSeveralHeads) and self.weighting.needs_several:
            logger.warning(ONE_HEAD, self.name, type(self.weighting).__name__, names)

    def step(
        self, number: int, views: HeadViews, losses: Mapping[str, float], scores: Mapping[str, float | None]
    ) -> Step:
        """Describe a step to the weighting.

        number (int): Steps before this one.
        views (HeadViews): The batch.
        losses (Mapping[str, float]): By the name of the head.
        scores (Mapping[str, float | None]): Main scores at the last evaluation, by the name of the head.
        """
        adversarial = [key for key, head in self.heads.items() if isinstance(head, Adversarial) and head.adversarial]
        return Step(
            number=number,
            adversarial=frozenset(adversarial),
            corpus_sizes=self._corpus_sizes,
            scores=scores,
            count_units=lambda: {key: count_units(self.heads[key], views.of(key)) for key in losses},
        )

    def merge(self, run: HeadsRun, d_scores: AllScoresT, step: Step, encoder: EncoderT) -> Merged:
        """Compute one gradient at the shared vectors. Without losses it is zero, and a loss that is alone is
        not changed. Over a frozen encoder, which needs no gradient, a weighting that needs the last layer has nothing
        to combine.
        """
        if len(d_scores) <= 1:
            d_tokvecs = run.backprop(d_scores)
            return Merged(d_tokvecs, dict.fromkeys(d_scores, d_tokvecs))
        if not isinstance(self.weighting, MergesGradients):
            return Merged(run.backprop(d_scores))
        last_layer = None
        if self.weighting.needs == "last_layer":
            last_layer = find_last_layer(encoder, self.name, type(self.weighting).__name__)
            if last_layer is None:
                return Merged(run.backprop(d_scores))
        gradients = run.backprop_each(d_scores)
        if last_layer is not None and self._compares(gradients, step):
            step.last_layer = last_layer_gradients(last_layer, gradients)
            for name, gradient in step.last_layer.items():
                run.check(name, gradient)
        gradients = {name: gradient for name, gradient in gradients.items() if name not in run.skipped}
        if len(gradients) < 2:
            return Merged(_only(gradients, run), gradients, step.last_layer)
        d_tokvecs = self.weighting.merge(gradients, step)
        if not isinstance(self.weighting, ReportsFactors):
            return Merged(d_tokvecs, gradients, step.last_layer)
        factors = self.weighting.last_factors
        # A plain sum stays what Static makes of it, to the last bit.
        if last_layer is not None and step.last_layer and any(factor != 1.0 for factor in factors.values()):
            at_layer = {name: step.last_layer[name] for name in gradients}
            last_layer.expect(d_tokvecs, weighted_sum(at_layer, factors))
        return Merged(d_tokvecs, gradients, step.last_layer, factors)

    def _compares(self, gradients: Mapping[str, Floats2d], step: Step) -> bool:
        """Whether the weighting looks at the last layer in this step."""
        return not isinstance(self.weighting, ComparesSometimes) or self.weighting.compares(gradients, step)

    def layers_to_move(self) -> list[Model[Any, Any]]:
        """What of the weighting's network the optimizer may change."""
        if isinstance(self.weighting, LearnsByHead):
            return [layer for layer in self.weighting.layers.values() if has_gradient(layer)]
        return [] if self.weighting.model is None else [self.weighting.model]


def has_gradient(layer: Model[Any, Any]) -> bool:
    """Whether a gradient of the layer is not zero."""
    nodes = [(node, name) for node in layer.walk() for name in node.param_names if node.has_grad(name)]
    return any(bool(node.get_grad(name).any()) for node, name in nodes)


def _only(gradients: Mapping[str, Floats2d], run: HeadsRun) -> Floats2d:
    """Get the gradient that is left, or zeros."""
    return next(iter(gradients.values())) if gradients else run.backprop({})


def get_losses(
    heads: Mapping[str, Head], views: HeadViews, run: HeadsRun, *, step: int = 0
) -> tuple[dict[str, float], AllScoresT]:
    """Compute the losses of the heads that find gold or a teacher's targets in the batch, without the heads that are
    skipped.

    step (int): Number of steps before this one, for teacher annealing.
    RAISES NotFinite: A loss is NaN or infinite, and heads are not to be skipped; the error names the head.
    RETURNS: loss and gradient by the name of the head.
    """
    losses: dict[str, float] = {}
    d_scores: AllScoresT = {}
    for key, head in heads.items():
        loss, gradient = get_loss_with_teacher(key, head, views.of(key), run.scores[key], step=step)
        try:
            check_loss(loss, f"head {key!r}")
        except NotFinite as error:
            run.skip(key, error)
            continue
        if gradient is not None:
            losses[key], d_scores[key] = loss, gradient
    return losses, d_scores


def count_units(head: Head, examples: Sequence[Example]) -> int:
    """The annotated units of a batch: what the head counts, or docs with gold; docs that only a teacher annotates are
    not counted, but one unit at least.
    """
    if fits(head, CountsUnits):
        return max(head.count_units(examples), 1)
    annotated = [eg for eg in examples if head.has_gold(eg)]
    if fits(head, CountsGold):
        return max(sum(head.count_gold(eg.reference, Counter()) for eg in annotated), 1)
    return max(len(annotated), 1)
