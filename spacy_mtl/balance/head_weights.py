"""The weights that a user gives to the heads' losses."""

import math
from collections.abc import Iterable, Mapping, Sequence

from ..protocols.weighting import Step


class HeadWeights:
    """Fixed factors of the losses, by head. Heads that are not named have 1.0.

    maker (str): The registered name of the weighting that they are an option of, for errors.
    option (str): The name of the option.
    """

    def __init__(self, maker: str, factors: Mapping[str, float] | None, option: str = "weights") -> None:
        self.factors = dict(factors or {})
        self.maker = maker
        self.option = option

    def check(self, heads: Sequence[str]) -> None:
        """Refuse weights of heads that don't exist, weights that are negative or infinite, and only zeros."""
        check_known(self.factors, heads, self.maker, self.option)
        wrong = {name: factor for name, factor in self.factors.items() if not 0 <= factor < math.inf}
        if wrong:
            raise ValueError(f"{self.maker}: {self.option} must be numbers of at least 0, but there is {wrong}")
        if not any(self.of(name) for name in heads):
            raise ValueError(
                f"{self.maker}: the {self.option} of all heads, {list(heads)}, are 0, so that nothing would be "
                "learned; give at least one of them a weight above 0"
            )

    def of(self, name: str) -> float:
        """The factor of a head."""
        return self.factors.get(name, 1.0)

    def balanced(self, losses: Iterable[str], step: Step) -> list[str]:
        """The heads among these whose losses a weighting may balance: those with a weight above 0, without the
        adversarial ones, which would be balanced away.
        """
        return [name for name in losses if self.of(name) > 0 and name not in step.adversarial]

    def times(self, relative: Mapping[str, float], losses: Iterable[str]) -> dict[str, float]:
        """The user's factor of each loss times the weighting's own; heads that it leaves out keep the user's."""
        return {name: self.of(name) * relative.get(name, 1.0) for name in losses}


def check_known(named: Iterable[str], heads: Sequence[str], maker: str, option: str) -> None:
    """Raise a ValueError if an option names a head that does not exist."""
    unknown = sorted(set(named) - set(heads))
    if unknown:
        raise ValueError(f"{maker}: {option} names {unknown}, but the heads are {list(heads)}; rename or remove it")


def with_mean_one(scores: Mapping[str, float]) -> dict[str, float]:
    """Numbers of at least 0 in the same proportion, with a mean of 1; all 1 if all are 0, and exactly 1 for one."""
    total = sum(scores.values())
    if len(scores) < 2 or total == 0:
        return dict.fromkeys(scores, 1.0)
    return {name: len(scores) * score / total for name, score in scores.items()}
