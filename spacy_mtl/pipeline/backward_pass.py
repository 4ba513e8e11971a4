"""The backward pass of a step: from the gradients of the heads' losses, through the weighting, to the encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thinc.types import Floats2d, Ragged

from ..network.finite_gradients import NotFinite, check_gradient, drop_gradients
from ..network.listeners import find_listeners, is_last_of_several
from ..network.run_heads import AllScoresT, HeadsRun, MultitaskModelT
from ..protocols.arrays import ArrayT, EncoderT
from ..protocols.head import Head
from ..protocols.weighting import Step
from .balance_readout import BalanceReadout, Measured
from .pending_gradients import PendingGradients
from .run_order import trained_heads
from .step_counts import StepCounts
from .weighing import Merged, Weighing

# gradient of the shared vectors -> gradient of the docs, which is of no use
BackpropEncoderT = Callable[[Ragged], Any]


@dataclass
class BackwardPass:
    """Adds gradients to the networks of a component, and notes which of them have received any.

    model (MultitaskModelT): The whole network.
    heads (Mapping[str, Head]): The heads by name.
    weighing (Weighing): The weighting.
    readout (BalanceReadout): Measures the gradients of some steps.
    pending (PendingGradients): Notes what has received a gradient.
    counts (StepCounts): Counts the steps that heads are left out of.
    """

    model: MultitaskModelT
    heads: Mapping[str, Head]
    weighing: Weighing
    readout: BalanceReadout
    pending: PendingGradients
    counts: StepCounts

    @property
    def encoder(self) -> EncoderT:
        """The shared encoder."""
        return self.model.get_ref("encoder")

    def backprop(
        self,
        run: HeadsRun,
        bp_tokvecs: BackpropEncoderT | None,
        d_scores: AllScoresT,
        *,
        step: Step | None = None,
        alone: AllScoresT | None = None,
        kept: AllScoresT | None = None,
    ) -> tuple[Merged, Measured | None]:
        """Add the gradients of these heads' losses, or none at all.

        run (HeadsRun): The forward pass of the heads.
        bp_tokvecs (Callable | None): Backprop of the encoder; None leaves it as it is.
        d_scores (AllScoresT): By head name, the gradient of the head's weighted loss.
        step (Step | None): What the weighting sees of the step; None for the plain sum.
        alone (AllScoresT | None): Gradients of losses that move their own heads only.
        kept (AllScoresT | None): Gradients of the losses of kept heads against the old pipeline, with their weights.
        RAISES NotFinite: A gradient is NaN or infinite, and heads are not to be skipped; the error names the head. No
            gradient is left then.
        RETURNS: What the weighting made of the gradients, and what was measured of them for the read-out.
        """
        alone, kept = alone or {}, kept or {}
        try:
            run.backprop_alone(alone)
            merged = self._merge(run, d_scores, step)
            d_tokvecs = self._add_kept(run, merged, kept)
        except NotFinite:
            self.drop()
            raise
        measured = None
        if step is not None and d_scores and not run.skipped and self.readout.is_due(step.number):
            measured = self.readout.measure(run, d_scores, merged, self.encoder)
        learned = (d_scores.keys() | kept.keys()) - run.skipped.keys()
        if bp_tokvecs and (learned or any(is_last_of_several(node) for node in find_listeners(self.model))):
            bp_tokvecs(Ragged(d_tokvecs, run.tokvecs.lengths))
        self.pending.add(trained_heads(self.heads, learned) | alone.keys(), is_shared=bool(learned))
        self._leave_out_skipped(run)
        return merged, measured

    def drop(self) -> None:
        """Forget all gradients since the optimizer's last step."""
        drop_gradients(self.model)
        self.pending.clear()

    def _merge(self, run: HeadsRun, d_scores: AllScoresT, step: Step | None) -> Merged:
        """Backpropagate through the heads, and combine their gradients at the shared vectors."""
        if step is None:
            merged = Merged(run.backprop(d_scores))
        else:
            merged = self.weighing.merge(run, d_scores, step, self.encoder)
        if d_scores:
            check_gradient(merged.d_tokvecs, f"weighting {type(self.weighing.weighting).__name__}")
        return merged

    def _add_kept(self, run: HeadsRun, merged: Merged, kept: AllScoresT) -> Floats2d:
        """Add the gradients of kept heads at the shared vectors, (n_tokens, width)."""
        if not kept:
            return merged.d_tokvecs
        d_tokvecs: ArrayT = merged.d_tokvecs + run.backprop(kept)
        check_gradient(d_tokvecs, f"kept heads {list(kept)}")
        return d_tokvecs

    def _leave_out_skipped(self, run: HeadsRun) -> None:
        """Drop what the losses of other heads have left in the networks of skipped ones, and count the step."""
        for key in run.skipped:
            drop_gradients(run.layers[key])
        self.pending.remove(run.skipped.keys())
        self.counts.count_skipped(run)
