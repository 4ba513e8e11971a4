"""Sampling that draws more docs from corpora whose heads fall short of their targets."""

from collections.abc import Mapping

from ..protocols.sampler import SamplingState

# Added to each lag, so that a corpus without lag is still drawn beside others even if the floor is 0.
EPSILON = 0.01


def make_shortfall_v1(
    targets: dict[str, float] | None = None, floor: float = 0.3, smoothing: float = 0.5, power: float = 1.0
) -> "Shortfall":
    """Build the sampler that draws more from corpora whose heads fall short of their targets (after Gottumukkala et al.
    2020, "Dynamic Sampling Strategies for Multi-Task Reading Comprehension", ACL). Only for streams (`max_epochs =
    -1`).

    After each evaluation, with `s[c,h]` the main score of head h on the dev docs of corpus c, and `t[c,h]` its target:

        lag[c]  = mean over h of max(0, 1 - s[c,h] / t[c,h])
        lag'[c] = smoothing * lag'[c] + (1 - smoothing) * lag[c]
        p[c]    = floor * w[c] / sum w  +  (1 - floor) * w[c] * (0.01 + lag'[c]) ** power / (sum of the same)

    Before the first evaluation, corpora are drawn by their weights w alone. The scores are those on the dev corpus of
    the same name, or the heads' overall scores if there is none. A corpus without any score gets the mean lag of the
    others.

    targets (dict[str, float] | None): Target scores, above 0 and up to 1, by head (`"slots"`) or by corpus and head
        (`"snips/slots"`). A head without a target is compared with its best score so far, so its corpus is drawn more
        often once the score drops.
    floor (float): Share of the draws, from 0 to 1, that follows the weights alone, so that no corpus dies out.
    smoothing (float): Weight of the old lag at an evaluation, from 0 (only the last evaluation counts) to below 1.
    power (float): Exponent of the lag; values above 1 sharpen the differences.
    """
    maker = "spacy_mtl.Shortfall.v1"
    if not 0 <= floor <= 1:
        raise ValueError(f"{maker}: floor is {floor}; it must be from 0 to 1")
    if not 0 <= smoothing < 1:
        raise ValueError(f"{maker}: smoothing is {smoothing}; it must be at least 0 and less than 1")
    if not 0 < power < float("inf"):
        raise ValueError(f"{maker}: power is {power}; it must be above 0")
    wrong = {name: target for name, target in (targets or {}).items() if not 0 < target <= 1}
    if wrong:
        raise ValueError(f"{maker}: targets must be scores above 0 and up to 1, but there is {wrong}")
    return Shortfall(targets or {}, floor, smoothing, power)


class Shortfall:
    """The sampler.

    targets (Mapping[str, float]): Target scores by head or by corpus and head.
    floor (float): Share of the draws that follows the weights alone.
    smoothing (float): Weight of the old lag at an evaluation.
    power (float): Exponent of the lag.
    best (dict[tuple[str, str], float]): Best score so far by corpus and head.
    lags (dict[str, float]): Smoothed lag of each corpus.
    """

    changes = True

    def __init__(self, targets: Mapping[str, float], floor: float, smoothing: float, power: float) -> None:
        self.targets = targets
        self.floor = floor
        self.smoothing = smoothing
        self.power = power
        self.best: dict[tuple[str, str], float] = {}
        self.lags: dict[str, float] = {}
        self._seen: dict[str, dict[str, float]] = {}

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return p[c] of each corpus, by the formula in `make_shortfall_v1`."""
        if state.scores != self._seen:
            self._seen = state.scores
            self._update(state.scores)
        usual = sum(self.lags.values()) / len(self.lags) if self.lags else 0.0
        masses = {
            name: weight * (EPSILON + self.lags.get(name, usual)) ** self.power
            for name, weight in state.weights.items()
        }
        all_weights, all_masses = sum(state.weights.values()), sum(masses.values())
        return {
            name: self.floor * weight / all_weights + (1 - self.floor) * masses[name] / all_masses
            for name, weight in state.weights.items()
        }

    def _update(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Update the lags with a new evaluation. Raises a ValueError for targets that no score belongs to."""
        known = {head for own in scores.values() for head in own}
        known |= {f"{corpus}/{head}" for corpus, own in scores.items() for head in own}
        unknown = sorted(set(self.targets) - known) if known else []
        if unknown:
            raise ValueError(
                f"spacy_mtl.Shortfall.v1: targets names {unknown}, but the last evaluation has scores of "
                f"{sorted(known)}"
            )
        for corpus, own in scores.items():
            if own:
                lag = sum(self._lag(corpus, head, score) for head, score in own.items()) / len(own)
                old = self.lags.get(corpus, lag)
                self.lags[corpus] = self.smoothing * old + (1 - self.smoothing) * lag

    def _lag(self, corpus: str, head: str, score: float) -> float:
        best = self.best[corpus, head] = max(score, self.best.get((corpus, head), score))
        target = self.targets.get(f"{corpus}/{head}", self.targets.get(head, best))
        return max(0.0, 1 - score / target) if target > 0 else 0.0
