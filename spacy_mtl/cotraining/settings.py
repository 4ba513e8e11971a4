"""What can be set for co-training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AgreementT = Literal["seeds", "views"]


@dataclass(frozen=True)
class Settings:
    """rounds (int): At most so many rounds after the first training.
    threshold (float): How sure both learners must be of a doc's annotation, above 0 and at most 1.
    thresholds (Mapping[str, float]): The same for single heads, by name.
    agreement (str): What the two learners differ in: "seeds", or "views" of the text.
    view (Mapping[str, Any]): With "views": the second learner's settings, by their place in the config
        ("components.tok2vec.model.width"). Empty: the other value of `subword_features`.
    patience (int): Stop after so many rounds in a row whose dev score is not above the best.
    """

    rounds: int = 3
    threshold: float = 0.95
    thresholds: Mapping[str, float] = field(default_factory=dict)
    agreement: AgreementT = "seeds"
    view: Mapping[str, Any] = field(default_factory=dict)
    patience: int = 1

    def __post_init__(self) -> None:
        for name, number in (("rounds", self.rounds), ("patience", self.patience)):
            if number < 1:
                raise ValueError(f"{name} is {number}; it must be at least 1")
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold is {self.threshold}; it must be above 0 and at most 1")
        for head, threshold in self.thresholds.items():
            if not 0.0 < threshold <= 1.0:
                raise ValueError(f"threshold of head {head!r} is {threshold}; it must be above 0 and at most 1")
        if self.agreement not in ("seeds", "views"):
            raise ValueError(f"agreement is {self.agreement!r}; it must be 'seeds' or 'views'")
        if self.view and self.agreement != "views":
            raise ValueError(
                f"view sets {list(self.view)}, but the agreement is of {self.agreement}; set it to 'views'"
            )

    def threshold_of(self, head: str) -> float:
        """The head's own threshold, or the one for all."""
        return self.thresholds.get(head, self.threshold)
