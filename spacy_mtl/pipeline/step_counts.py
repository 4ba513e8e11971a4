"""How many steps a component has taken, and how many of them its heads were left out of."""

from typing import Any

from spacy.util import logger

from ..network.run_heads import HeadsRun

# keys of the component's `cfg`
N_STEPS = "n_steps"
N_SKIPPED = "n_skipped"
SKIPS = (
    "%s; nan_gradient is 'skip', so the head takes no part in such a step, and the others learn. This is said once; "
    "cfg['%s'] of the component counts the steps"
)


class StepCounts:
    """The counts of a component, in its `cfg`, so that they are saved with it."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        """cfg (dict[str, Any]): The component's `cfg`, updated in place."""
        self._cfg = cfg
        self._said: set[str] = set()

    @property
    def n_steps(self) -> int:
        """The number of steps in which the weighting took part."""
        return int(self._cfg.get(N_STEPS, 0))

    def end_step(self, number: int) -> None:
        """Count a step.

        number (int): The number of steps before it.
        """
        self._cfg[N_STEPS] = number + 1

    def count_skipped(self, run: HeadsRun) -> None:
        """Count the step for each head that was left out of it, and log a warning the first time."""
        counts: dict[str, int] = self._cfg.setdefault(N_SKIPPED, {}) if run.skipped else {}
        for key, error in run.skipped.items():
            counts[key] = counts.get(key, 0) + 1
            if key not in self._said:
                self._said.add(key)
                logger.warning(SKIPS, error.found, N_SKIPPED)
