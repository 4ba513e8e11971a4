"""Measure how the heads of a component share its encoder, without changing the training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import srsly
from spacy.language import Language

from ..balance.gramian import GramianT, gramian_of
from ..balance.readout_sums import ReadoutSums
from ..balance.sampled_steps import is_sampled
from ..network.finite_gradients import NotFinite
from ..network.last_layer_gradients import last_layer_gradients, last_layer_of
from ..network.loss_gradients import measure_each
from ..network.run_heads import AllScoresT, HeadsRun
from ..protocols.arrays import EncoderT
from ..protocols.readout import ReadoutT
from ..protocols.weighting import Step
from .weighing import Merged


@dataclass
class Measured:
    """The gradients of a step.

    names (list[str]): The heads.
    gramian (GramianT): Of the gradients of their weighted losses, (n_heads, n_heads).
    at (str): Where they were measured: "last_layer" or "vectors".
    """

    names: list[str]
    gramian: GramianT
    at: str


class BalanceReadout:
    """The read-out of a component, see `balance/readout_sums.py`.

    every (int): Number of steps between two measurements of gradients, on average; 0 to measure none. Losses and
        weights are noted in each step.
    total (ReadoutSums): Of all steps.
    recent (ReadoutSums): Of the steps since `take`.
    shown (dict[str, Any]): The read-out of all steps, kept up to date in place.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.total, self.recent = ReadoutSums(), ReadoutSums()
        self.shown: ReadoutT = {}

    def is_due(self, number: int) -> bool:
        """Check whether the gradients of a step are measured. This depends on its number alone."""
        return self.every > 0 and is_sampled(number, self.every)

    def measure(self, run: HeadsRun, d_scores: AllScoresT, merged: Merged, encoder: EncoderT) -> Measured | None:
        """Measure the gradients of a step, before the encoder's own backward pass. All that was computed for the
        weighting is used again.

        RETURNS (Measured | None): None if they can't be measured, or are not finite.
        """
        try:
            gradients: Mapping[str, Any] = merged.gradients or measure_each(run, d_scores)
        except NotFinite:
            return None
        at, last_layer = "vectors", last_layer_of(encoder)
        if last_layer is not None and last_layer.backprop is not None:
            at, gradients = "last_layer", merged.last_layer or last_layer_gradients(last_layer, gradients)
        gramian = gramian_of(list(gradients.values())) if gradients else np.zeros((0, 0))
        return Measured(list(gradients), gramian, at) if gradients and np.isfinite(gramian).all() else None

    def add(
        self,
        losses: Mapping[str, float],
        weights: Mapping[str, float],
        step: Step,
        merged: Merged,
        measured: Measured | None,
    ) -> None:
        """Note a step.

        losses (Mapping[str, float]): The losses of the heads with gold, in nats.
        weights (Mapping[str, float]): The factor of each of them.
        merged (Merged): What the weighting made of their gradients.
        """
        pulls = {name: weights[name] * merged.factors.get(name, 1.0) for name in losses}
        for sums in (self.total, self.recent):
            sums.add_step(losses, pulls, step.adversarial)
        if measured is not None:
            own = np.array([weights[name] for name in measured.names])
            for sums in (self.total, self.recent):
                sums.add_gradients(measured.names, measured.gramian / np.outer(own, own), pulls, measured.at)
        self._show()

    def take(self) -> ReadoutT:
        """Get the read-out since the last call."""
        found = self.recent.as_readout()
        self.recent = ReadoutSums()
        return found

    def reset(self) -> None:
        """Begin again."""
        self.total, self.recent = ReadoutSums(), ReadoutSums()
        self._show()

    def show_in(self, nlp: Language, name: str) -> None:
        """Put the read-out into the pipeline's meta under the component's name."""
        nlp.meta.setdefault("spacy_mtl", {}).setdefault("balance", {})[name] = self.shown

    def to_bytes(self) -> bytes:
        """Serialize all sums, exactly: JSON as spaCy writes it keeps nine decimals."""
        state = {"total": self.total.get_state(), "recent": self.recent.get_state()}
        return bytes(srsly.msgpack_dumps(state))

    def from_bytes(self, data: bytes) -> None:
        """Load what `to_bytes` returned."""
        state = srsly.msgpack_loads(data)
        self.total, self.recent = (ReadoutSums.from_state(state[name]) for name in ("total", "recent"))
        self._show()

    def _show(self) -> None:
        self.shown.clear()
        self.shown.update(self.total.as_readout())
