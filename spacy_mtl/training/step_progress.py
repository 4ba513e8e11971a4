"""The progress bar to the next evaluation."""

from time import perf_counter
from typing import IO

from spacy.language import Language
from tqdm import tqdm


class StepProgress:
    """A bar in the terminal, and nothing if there is none.

    spaCy tells loggers the number of words only at an evaluation. So the speed between two evaluations is the measured
    number of steps per second times the mean number of words of the steps so far.
    """

    def __init__(self, nlp: Language, stderr: IO[str]) -> None:
        self._stderr = stderr
        self._every = int(nlp.config["training"]["eval_frequency"])
        self._last = int(nlp.config["training"]["max_steps"])
        self._bar: tqdm[None] | None = None
        self._start = 0.0
        self._words_a_step = 0.0

    def __enter__(self) -> "StepProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def begin(self, step: int, n_words: int) -> None:
        """Show the bar after an evaluation.

        step (int): The step that was evaluated. n_words (int): Number of words until then.
        """
        n_steps = min(self._every, self._last - step) if self._last else self._every
        if n_steps > 0:
            self._bar = tqdm(total=n_steps, unit="step", leave=False, file=self._stderr, disable=None)
            self._start, self._words_a_step = perf_counter(), n_words / (step + 1)

    def advance(self) -> None:
        """Count a step."""
        if self._bar is not None:
            self._bar.update()
            speed = self._bar.n * self._words_a_step / (perf_counter() - self._start)
            self._bar.set_postfix_str(f"{speed:,.0f} words/s", refresh=False)

    def hide(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
