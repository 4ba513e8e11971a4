"""The losses of a batch, and what the weighting is given to make one gradient of them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spacy.language import Language
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d

from ..layers.last_layer import LastLayer
from ..network.last_layer_gradients import last_layer_gradients, want_last_layer
from ..network.run_heads import AllScoresT, HeadsRun
from ..protocols.arrays import EncoderT
from ..protocols.head import Adversarial, CountsGold, Head
from ..protocols.weighting import LearnsByHead, MergesGradients, Step, Weighting
from .head_views import HeadViews


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
        self._last_layer: LastLayer | None = None

    def prepare(self, encoder: EncoderT, nlp: Language | None = None) -> None:
        """Get what the weighting needs. Without a pipeline the encoder must be the component's own.

        RAISES ValueError: The weighting needs the last layer, and this encoder can't give it.
        """
        if nlp is not None:
            self._corpus_sizes = dict(nlp.meta.get("spacy_mtl", {}).get("corpus_sizes", {}))
        if self.weighting.needs == "last_layer" and (nlp is not None or self._last_layer is None):
            self._last_layer = want_last_layer(encoder, nlp, self.name, type(self.weighting).__name__)

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

    def merge(self, run: HeadsRun, d_scores: AllScoresT, step: Step) -> Floats2d:
        """One gradient at the shared vectors, (n_tokens, width): zero without losses, unchanged if a loss is alone."""
        if len(d_scores) <= 1 or not isinstance(self.weighting, MergesGradients):
            return run.backprop(d_scores)
        gradients = run.backprop_each(d_scores)
        if self._last_layer is not None:
            step.last_layer = last_layer_gradients(self._last_layer, gradients)
        return self.weighting.merge(gradients, step)

    def layers_to_move(self) -> list[Model[Any, Any]]:
        """What of the weighting's network the optimizer may change."""
        if isinstance(self.weighting, LearnsByHead):
            return [layer for layer in self.weighting.layers.values() if has_gradient(layer)]
        return [] if self.weighting.model is None else [self.weighting.model]


def has_gradient(layer: Model[Any, Any]) -> bool:
    """Whether a gradient of the layer is not zero."""
    nodes = [(node, name) for node in layer.walk() for name in node.param_names if node.has_grad(name)]
    return any(bool(node.get_grad(name).any()) for node, name in nodes)


def get_losses(heads: Mapping[str, Head], views: HeadViews, scores: AllScoresT) -> tuple[dict[str, float], AllScoresT]:
    """Compute the losses of the heads that find gold in the batch.

    RAISES ValueError: A loss is NaN or infinite; the error names the head.
    RETURNS: loss and gradient by the name of the head.
    """
    losses: dict[str, float] = {}
    d_scores: AllScoresT = {}
    for key, head in heads.items():
        loss, gradient = head.get_loss(views.of(key), scores[key])
        if not math.isfinite(loss):
            raise ValueError(
                f"head {key!r}: its loss is {loss}, so this batch was not learned from and the weights are as "
                "before it; lower the learning rate or the head's weight, or check the encoder's vectors"
            )
        if gradient is not None:
            losses[key], d_scores[key] = loss, gradient
    return losses, d_scores


def count_units(head: Head, examples: Sequence[Example]) -> int:
    """The annotated units of a batch: what the head counts, or docs with gold."""
    annotated = [eg for eg in examples if head.has_gold(eg)]
    if isinstance(head, CountsGold):
        return sum(head.count_gold(eg.reference, Counter()) for eg in annotated)
    return len(annotated)
