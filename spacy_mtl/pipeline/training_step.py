"""One training step: forward pass, losses, weights of the losses, and backward pass, without the optimizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import set_dropout_rate

from ..network.run_heads import AllScoresT, HeadsRun, run_heads
from ..protocols.head import Head
from ..protocols.weighting import Step
from .backward_pass import BackpropEncoderT, BackwardPass
from .balance_readout import Measured
from .consistency import update_constraints
from .decoding import Decoding
from .head_progress import HeadProgress
from .head_views import HeadViews
from .kept_heads import KeptHeads
from .weighing import Merged, get_losses


@dataclass
class ForwardPass:
    """The forward pass of a batch, and the losses of the heads that find gold in it.

    views (HeadViews): The gold of the batch.
    run (HeadsRun): The scores of the heads.
    bp_tokvecs (BackpropEncoderT): Backprop of the encoder.
    losses (dict[str, float]): In nats, by head name.
    d_scores (AllScoresT): The gradient of each loss, by head name.
    """

    views: HeadViews
    run: HeadsRun
    bp_tokvecs: BackpropEncoderT
    losses: dict[str, float]
    d_scores: AllScoresT


@dataclass
class WeightedLosses:
    """The losses of a batch with their weights.

    step (Step | None): What the weighting sees of the step; None if no loss takes part in the weighting.
    sharing (dict[str, float]): The losses that take part in the weighting, in nats, by head name.
    factors (dict[str, float]): The factor of each loss, by head name.
    together (AllScoresT): Gradients of the weighted losses that move the encoder.
    alone (AllScoresT): Gradients of the weighted losses of heads that are done, which move their own heads only.
    """

    step: Step | None
    sharing: dict[str, float]
    factors: dict[str, float]
    together: AllScoresT
    alone: AllScoresT


@dataclass
class TrainingStep:
    """Adds the gradients of one batch to the networks of a component.

    name (str): The component's name, for the keys of the losses.
    heads (Mapping[str, Head]): The heads by name, in the order of the config.
    order (Sequence[str]): The heads in the order in which they run.
    pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
    backward (BackwardPass): The backward pass, with network, weighting and read-out.
    progress (HeadProgress): Tells which heads are done. They take no part in the weighting: their losses keep the
        factors that they had, or have none.
    skip_broken (bool): Whether to go on without heads whose loss or gradient is NaN or infinite.
    """

    name: str
    heads: Mapping[str, Head]
    order: Sequence[str]
    pairs: Mapping[str, str]
    backward: BackwardPass
    progress: HeadProgress
    skip_broken: bool

    def learn(
        self,
        examples: Sequence[Example],
        *,
        drop: float,
        losses: dict[str, float],
        scores: Mapping[str, float | None],
        kept: KeptHeads | None,
    ) -> None:
        """Add the gradients of all weighted losses.

        drop (float): The dropout rate.
        losses (dict[str, float]): The losses of the batch are added to its entries.
        scores (Mapping[str, float | None]): Main scores at the last evaluation, by head name, for the weighting.
        kept (KeptHeads | None): Heads that also learn from the pipeline that the training began from.
        """
        docs, views = self._begin(examples, drop)
        teacher = None if kept is None else kept.ask(docs, views)
        decoding = Decoding(self.heads, self.pairs, docs, views, prepared=None if teacher is None else teacher.prepared)
        forward = self._forward(docs, views, decoding)
        lost, d_kept = ({}, {}) if teacher is None else teacher.compare(forward.run, decoding.prepare)
        weighted = self._weigh(forward, scores)
        merged, measured = self.backward.backprop(
            forward.run,
            forward.bp_tokvecs,
            weighted.together,
            step=weighted.step,
            alone=weighted.alone,
            kept=d_kept,
        )
        learned = {key: loss for key, loss in forward.losses.items() if key not in forward.run.skipped}
        losses[self.name] += sum(weighted.factors[key] * loss for key, loss in learned.items())
        if kept is not None:
            losses[self.name] += sum(kept.weights[key] * loss for key, loss in lost.items())
        self._note(forward, weighted, merged, measured)
        self._add_losses(losses, forward.losses)
        for key, loss in lost.items():
            losses[f"{self.name}/keep/{key}"] += loss

    def learn_alone(self, head: str, examples: Sequence[Example], *, drop: float, losses: dict[str, float]) -> None:
        """Add the gradients of one head's loss, with the weight 1. Neither the weighting nor the read-out learns of the
        step, and it does not count. Arguments as those of `learn`.
        """
        docs, views = self._begin(examples, drop)
        forward = self._forward(docs, views, Decoding(self.heads, self.pairs, docs, views))
        d_scores = {key: gradient for key, gradient in forward.d_scores.items() if key == head}
        self.backward.backprop(forward.run, forward.bp_tokvecs, d_scores)
        self._add_losses(losses, forward.losses)

    def _begin(self, examples: Sequence[Example], drop: float) -> tuple[list[Doc], HeadViews]:
        """Bring the network into the state in which it learns from this batch."""
        self.progress.restore(self.heads)
        set_dropout_rate(self.backward.model, drop)
        views = HeadViews(examples)
        update_constraints(self.heads, self.pairs, views)
        return [eg.predicted for eg in examples], views

    def _forward(self, docs: list[Doc], views: HeadViews, decoding: Decoding) -> ForwardPass:
        """Run the encoder and the heads, and compute the losses."""
        tokvecs, bp_tokvecs = self.backward.encoder.begin_update(docs)
        in_order = {key: self.heads[key] for key in self.order}
        run = run_heads(self.backward.model, in_order, docs, tokvecs, is_train=True, prepare=decoding.prepare)
        run.skip_broken = self.skip_broken
        losses, d_scores = get_losses(self.heads, views, run, step=self.backward.counts.n_steps)
        return ForwardPass(views, run, bp_tokvecs, losses, d_scores)

    def _weigh(self, forward: ForwardPass, scores: Mapping[str, float | None]) -> WeightedLosses:
        """Get the factors of the losses from the weighting; those of heads that are done stay as they were."""
        done = self.progress.done()
        factors = {key: self.progress.factor(key) for key in done}
        sharing = {key: loss for key, loss in forward.losses.items() if key not in done}
        step, weighing = None, self.backward.weighing
        if sharing:
            step = weighing.step(self.backward.counts.n_steps, forward.views, sharing, scores)
            factors |= weighing.weighting.weights(sharing, step)
        together = {key: gradient * factors[key] for key, gradient in forward.d_scores.items() if factors[key] != 0}
        alone = {key: together.pop(key) for key in done if key in together}
        return WeightedLosses(step, sharing, factors, together, alone)

    def _note(self, forward: ForwardPass, weighted: WeightedLosses, merged: Merged, measured: Measured | None) -> None:
        """Note the step in the read-out, the count of steps and the factors of heads that are not done."""
        if weighted.step is None:
            return
        learned = {key: loss for key, loss in weighted.sharing.items() if key not in forward.run.skipped}
        self.backward.readout.add(learned, weighted.factors, weighted.step, merged, measured)
        self.backward.counts.end_step(weighted.step.number)
        self.progress.keep_factors({key: weighted.factors[key] for key in weighted.sharing})

    def _add_losses(self, losses: dict[str, float], own: Mapping[str, float]) -> None:
        """Add each head's own loss to the entry "name/head"."""
        for key, loss in own.items():
            losses[f"{self.name}/{key}"] += loss
