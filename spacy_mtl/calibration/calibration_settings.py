"""The options of a calibration."""

from dataclasses import dataclass

from .conformal import METHODS


@dataclass(frozen=True)
class CalibrationSettings:
    """coverage (float | None): Share of docs whose truth shall be in their prediction set; None for no sets.
    method (str): "lac" for the smallest sets on average; "aps" for sets that grow where the head is uncertain.
    most (int): Maximum number of outcomes in a set.
    share (float): Share of the docs that temperatures are fitted on, if there are no other docs for the rest.
    seed (int): Seed of the split.
    risk (float): Share of wrong docs that is allowed among those that are sure enough to be labels.
    """

    coverage: float | None = None
    method: str = "lac"
    most: int = 32
    share: float = 0.5
    seed: int = 0
    risk: float = 0.05

    def __post_init__(self) -> None:
        if self.coverage is not None and not 0.0 < self.coverage < 1.0:
            raise ValueError(f"coverage is {self.coverage:g}; it must be above 0 and below 1, such as 0.9")
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; it must be one of {list(METHODS)}")
        if self.most < 1:
            raise ValueError(f"the maximum number of outcomes is {self.most}; it must be at least 1")
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share is {self.share:g}; it must be above 0 and below 1")
        if not 0.0 < self.risk < 1.0:
            raise ValueError(f"risk is {self.risk:g}; it must be above 0 and below 1, such as 0.05")
