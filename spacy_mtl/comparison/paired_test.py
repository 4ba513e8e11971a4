"""Whether two systems differ on a test set, over docs and over seeds.

Each system was trained with a few seeds, and each of its runs judged on the same docs. A score varies with the seed
(main effect of seeds), with the docs that happen to be in the test set, and with both at once (which docs a seed gets
wrong). As docs are shared by the systems and seeds are not, the variance of the difference D of the mean scores is

    Var(D) = docs + max(seeds - both, 0)

    docs    over docs, of the seed-averaged difference: the jackknife (Efron 1982), since the docs are paired
    seeds   s²/S of the scores, summed over the systems
    both    the interaction, which `docs` and `seeds` hold each once; it is taken off, and never more than there is

These are the components of a two-way random-effects layout (Owen 2007, "The pigeonhole bootstrap"; Sellam et al. 2022,
"The MultiBERTs": the multi-bootstrap has the same components). With few seeds a bootstrap over them is too sure of
itself: `seeds` has as few degrees of freedom as there are seeds. So the critical value is the mean of that of t with
the seeds' degrees of freedom and that of t with the docs', weighted by the share of `seeds` in the variance (Cochran
and Cox 1957). In simulations this holds the error rate at all shares, where Satterthwaite's degrees of freedom give up
to twice the error rate at the 1 % level.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

METHOD = (
    "Two-sided test of the difference of mean main scores over docs and seeds: two-way random-effects variance, with "
    "the jackknife over paired docs (Owen 2007; Sellam et al. 2022) and critical values weighted by the share of the "
    "seeds (Cochran and Cox 1957); Holm's correction over the heads."
)
Floats = NDArray[np.float64]
BLOCK = 1 << 22
LEAST_LOG_P = -80.0


@dataclass(frozen=True)
class JudgedRuns:
    """The runs of one system, judged by one head.

    counts (NDArray[np.float64]): (n_seeds, n_docs, n_counts): what `CountsDocs.judge` gave for the docs of each run.
    main_score_of (Callable): The head's `main_score_of`: (..., n_counts) sums over docs -> (...).
    """

    counts: Floats
    main_score_of: Callable[[Floats], Floats]

    @cached_property
    def scores(self) -> Floats:
        """The main score of each seed, (n_seeds,)."""
        return np.asarray(self.main_score_of(self.counts.sum(axis=1)), dtype="float64")

    @cached_property
    def effects(self) -> Floats:
        """What each doc adds to the score of each seed, (n_seeds, n_docs): how much lower the score is without it. The
        mean over the docs is 0.
        """
        n_docs = self.counts.shape[1]
        step = max(1, BLOCK // max(1, self.counts.shape[2]))
        effects = np.empty(self.counts.shape[:2])
        for seed, counts in enumerate(self.counts):
            total = counts.sum(axis=0)
            for start in range(0, n_docs, step):
                without = self.main_score_of(total - counts[start : start + step])
                effects[seed, start : start + step] = self.scores[seed] - without
        return (effects - effects.mean(axis=1, keepdims=True)) * ((n_docs - 1) / n_docs)


@dataclass(frozen=True)
class Measured:
    """A score of each seed, (n_seeds,), and the effect of each doc on it, (n_seeds, n_docs)."""

    scores: Floats
    effects: Floats


@dataclass(frozen=True)
class Estimate:
    """A difference and how sure it is.

    value (float): The difference. error (float): Its standard error.
    seed_share (float): The share of the seeds in the variance.
    df_seeds, df_docs (float): Degrees of freedom; 0 for seeds if there is only one of each system.
    """

    value: float
    error: float
    seed_share: float
    df_seeds: float
    df_docs: float

    def critical(self, level: float) -> float:
        """The number of standard errors from 0 that a difference must have at a two-sided level."""
        from scipy.special import stdtrit  # takes a second, and every spaCy command loads this module

        return self._mix(lambda df: -float(stdtrit(df, level / 2)))

    @property
    def p(self) -> float:
        """The two-sided p value: the least level at which the difference is shown."""
        if self.value == 0.0 or self.error == 0.0:
            return 1.0 if self.value == 0.0 else float(np.exp(LEAST_LOG_P))
        from scipy.optimize import brentq

        distance = abs(self.value) / self.error

        def excess(log_p: float) -> float:
            return self.critical(float(np.exp(log_p))) - distance

        return float(np.exp(LEAST_LOG_P if excess(LEAST_LOG_P) < 0 else brentq(excess, LEAST_LOG_P, 0.0)))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The confidence interval of the difference."""
        half = self.critical(1 - confidence) * self.error
        return self.value - half, self.value + half

    def noncentrality(self, level: float, power: float) -> float:
        """The number of standard errors of a true difference that is shown with this power at this level."""
        from scipy.special import nctdtrinc, stdtrit

        return self._mix(lambda df: float(nctdtrinc(df, 1 - power, -stdtrit(df, level / 2))))

    def _mix(self, of: Callable[[float], float]) -> float:
        """A value for the docs' degrees of freedom and one for the seeds', weighted by their shares."""
        docs = of(self.df_docs)
        return docs if self.df_seeds == 0 else self.seed_share * of(self.df_seeds) + (1 - self.seed_share) * docs


def paired_test(system: JudgedRuns, baseline: JudgedRuns) -> Estimate:
    """The mean score of one system minus that of another, on the same docs."""
    one, other = (Measured(runs.scores, runs.effects) for runs in (system, baseline))
    return estimate_difference(one, [other], equal_variance=True)


def estimate_difference(one: Measured, others: Sequence[Measured], *, equal_variance: bool) -> Estimate:
    """Estimate the mean of one score minus the means of others, all on the same docs, each with seeds of its own.

    equal_variance (bool): Whether all vary alike with the seed, so that their degrees of freedom add up.
    """
    parts = [one, *others]
    effects = one.effects.mean(axis=0) - sum(other.effects.mean(axis=0) for other in others)
    docs = jackknife_variance(effects)
    seeds = np.array(fill([seed_variance(part) for part in parts]))
    both = sum(fill([interaction_variance(part) for part in parts]))
    variance = docs + max(float(seeds.sum()) - both, 0.0)
    n_seeds = np.array([len(part.scores) for part in parts])
    known = n_seeds > 1
    return Estimate(
        value=float(one.scores.mean() - sum(other.scores.mean() for other in others)),
        error=float(np.sqrt(variance)),
        seed_share=min(float(seeds.sum()) / variance, 1.0) if variance > 0 else 0.0,
        df_seeds=degrees_of_freedom(seeds[known], n_seeds[known] - 1, equal_variance=equal_variance),
        df_docs=effects.size - 1,
    )


def jackknife_variance(effects: Floats) -> float:
    """The variance of a score over docs, from the effect of each (n_docs,)."""
    n_docs = effects.size
    return float(n_docs / (n_docs - 1) * np.square(effects - effects.mean()).sum())


def seed_variance(part: Measured) -> float | None:
    """The variance of the mean over the seeds, None if there is one."""
    n_seeds = len(part.scores)
    return float(part.scores.var(ddof=1) / n_seeds) if n_seeds > 1 else None


def interaction_variance(part: Measured) -> float | None:
    """The part of `seed_variance` that is due to which docs are in the test set, None if there is one seed."""
    n_seeds, n_docs = part.effects.shape
    if n_seeds == 1:
        return None
    rest = part.effects - part.effects.mean(axis=0)
    return float(n_docs / (n_docs - 1) * np.square(rest).sum() / (n_seeds * (n_seeds - 1)))


def fill(variances: Sequence[float | None]) -> list[float]:
    """The variances, with the mean of those that are known in place of those that are not; 0.0 if none is."""
    known = [value for value in variances if value is not None]
    mean = sum(known) / len(known) if known else 0.0
    return [mean if value is None else value for value in variances]


def degrees_of_freedom(variances: Floats, degrees: NDArray[np.int64], *, equal_variance: bool) -> float:
    """The degrees of freedom of a sum of variances: their sum, or those of Welch (1947)."""
    squares = float((variances**2 / degrees).sum())
    return float(degrees.sum()) if equal_variance or squares == 0 else float(variances.sum() ** 2 / squares)
