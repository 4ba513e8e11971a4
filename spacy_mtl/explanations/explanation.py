"""What `spacy_mtl.explain` returns."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """Which tokens led a head to a prediction.

    head (str): The head's name.
    target (str): What is explained: "PlayMusic", "artist[2:4]".
    method (str): How the scores were computed.
    unit (str): What is counted: "log-odds" (nats) or "number" (that of a regressor, in its own unit).
    tokens (tuple[str, ...]): The texts of the doc's tokens.
    scores (tuple[float, ...]): What each token adds to the value, in its unit: above 0 for the target, below 0 against
        it. With the method "attention" they are shares of the attention, which says nothing of for or against.
    target_tokens (tuple[int, ...]): Indices of the tokens that the target is about; empty for the whole doc.
    value (float): The target's value for the doc.
    baseline_value (float | None): Its value for the baseline, in which no token says anything; None if the method uses
        none.
    completeness_gap (float | None): How far the sum of the scores is from value - baseline_value, as a share of that
        difference, or of 0.1 if it is smaller; None if the method does not promise that they are equal.
    n_passes (int): Number of forward passes through encoder and heads.
    held_fixed (tuple[str, ...]): What was kept as predicted for the whole doc, such as the spans that are classified.
    """

    head: str
    target: str
    method: str
    unit: str
    tokens: tuple[str, ...]
    scores: tuple[float, ...]
    target_tokens: tuple[int, ...]
    value: float
    baseline_value: float | None
    completeness_gap: float | None
    n_passes: int
    held_fixed: tuple[str, ...] = ()

    def top(self, n: int = 5) -> list[tuple[int, str, float]]:
        """List the tokens that matter most, for or against the target: index, text and score."""
        order = sorted(range(len(self.tokens)), key=lambda index: -abs(self.scores[index]))
        return [(index, self.tokens[index], self.scores[index]) for index in order[:n]]

    def as_dict(self) -> dict[str, Any]:
        """Convert it to what JSON can hold."""
        return asdict(self)
