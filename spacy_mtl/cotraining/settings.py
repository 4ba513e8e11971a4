"""The settings of co-training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AgreementT = Literal["seeds", "views"]


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    rounds (int): Maximum number of rounds after the initial training on gold.
    threshold (float): Confidence that both learners must reach for a label, above 0 and at most 1.
    thresholds (Mapping[str, float]): Thresholds of single heads, by name.
    calibrated (str | None): A calibrated pipeline, whose saved thresholds the other heads take where it has one.
    agreement (str): Difference between the learners: "seeds", or "views" of the text.
    view (Mapping[str, Any]): Settings of the second learner, by their path in the config, such as
        "components.tok2vec.model.width". Only with "views"; if it is empty, `subword_features` is flipped.
    patience (int): Number of rounds in a row without a better dev score before stopping.
    """

    rounds: int = 3
    threshold: float = 0.95
    thresholds: Mapping[str, float] = field(default_factory=dict)
    calibrated: str | None = None
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
