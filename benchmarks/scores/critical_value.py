"""How often the test of mtl compare errs where two systems do not differ, with its critical value and with others.

    python benchmarks/scores/critical_value.py

Two systems with equal true scores are drawn many times, at each place of a grid: spread over seeds, and over docs, from
none to eight times that of the noise (which docs a seed gets wrong). All are normal, so the sums that the test is made
from are drawn as such: means, and chi-squared variances with their degrees of freedom. Prints the highest error rate on
the grid, in per cent, and that of two systems of which one varies less with the seed.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from score_options import make_parser

from spacy_mtl.comparison.paired_test import Estimate

Floats = NDArray[np.float64]
MULTIPLES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LEVELS = (0.05, 0.01, 0.005)
# the spread over seeds up to which a test of docs alone is shown
MOST_FOR_DOCS = 4.0


@dataclass
class Draws:
    """Many comparisons. value (Floats): The difference. docs, seeds, both (Floats): The variances, as in `paired_test`.
    n_seeds, n_docs (int): Of each system.
    """

    value: Floats
    docs: Floats
    seeds: Floats
    both: Floats
    n_seeds: int
    n_docs: int

    @property
    def variance(self) -> Floats:
        """Of the difference."""
        return self.docs + np.maximum(self.seeds - self.both, 0.0)

    @property
    def df_seeds(self) -> int:
        """Degrees of freedom of `seeds`."""
        return 2 * (self.n_seeds - 1)


RuleT = Callable[[Draws, float], Floats]


def main() -> None:
    parser = make_parser(__doc__, seed=0, docs=700)
    parser.add_argument("--draws", type=int, default=100_000, help="comparisons at each place of the grid")
    parser.add_argument("--seeds-a-system", type=int, nargs="+", default=[3, 5])
    args = parser.parse_args()
    names = [f"at {100 * level:g} %, {n} seeds" for n in args.seeds_a_system for level in LEVELS]
    print(f"| critical value | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|")
    highest = {n: highest_rates(args, n) for n in args.seeds_a_system}
    for rule in RULES:
        rates = [highest[n][rule, level] for n in args.seeds_a_system for level in LEVELS]
        print(f"| {rule} | {' | '.join(f'{100 * rate:.1f}' for rate in rates)} |")
    for n_seeds in args.seeds_a_system:
        rng = np.random.default_rng(args.seed)
        draws = draw(rng, args, n_seeds, seeds=(3.0, 1.0), docs=0.0, noise=0.0)
        print(f"one varies with a third, {n_seeds} seeds: {100 * error_rate(draws, 0.05, weighted):.1f} at 5 %")


def highest_rates(args: argparse.Namespace, n_seeds: int) -> Mapping[tuple[str, float], float]:
    """(rule, level) -> the highest error rate on the grid."""
    rng = np.random.default_rng(args.seed)
    highest = dict.fromkeys(product(RULES, LEVELS), 0.0)
    for seeds, docs in product(MULTIPLES, MULTIPLES):
        draws = draw(rng, args, n_seeds, seeds=(seeds, seeds), docs=docs, noise=1.0)
        for (name, level), rate in highest.items():
            if name != "docs alone" or seeds <= MOST_FOR_DOCS:
                highest[name, level] = max(rate, error_rate(draws, level, RULES[name]))
    return highest


def draw(
    rng: np.random.Generator,
    args: argparse.Namespace,
    n_seeds: int,
    *,
    seeds: tuple[float, float],
    docs: float,
    noise: float,
) -> Draws:
    """Draw comparisons.

    seeds (tuple[float, float]): Standard deviation of each system's score over seeds, noise apart.
    docs (float): That of the difference over sets of docs, noise apart.
    noise (float): That of the score of one seed which is due to the docs that this seed gets wrong.
    """

    def chi_squared(df: int) -> Floats:
        """A variance of 1, estimated."""
        return rng.chisquare(df, args.draws) / df

    of_seeds = [spread**2 + noise**2 for spread in seeds]
    true = docs**2 + sum(of_seeds) / n_seeds
    return Draws(
        value=np.sqrt(true) * rng.normal(size=args.draws),
        docs=(docs**2 + 2 * noise**2 / n_seeds) * chi_squared(args.docs - 1),
        seeds=sum(variance / n_seeds * chi_squared(n_seeds - 1) for variance in of_seeds),
        both=2 * noise**2 / n_seeds * chi_squared(2 * (n_seeds - 1) * (args.docs - 1)),
        n_seeds=n_seeds,
        n_docs=args.docs,
    )


def error_rate(draws: Draws, level: float, rule: RuleT) -> float:
    """The share of comparisons in which a difference is shown."""
    return float((np.abs(draws.value) > rule(draws, level)).mean())


def weighted(draws: Draws, level: float) -> Floats:
    """What the test uses: t of the seeds and t of the docs, weighted by the share of `seeds` in the variance."""
    share = np.minimum(draws.seeds / draws.variance, 1.0)
    return mixed(draws, level, share)


def weighted_by_rest(draws: Draws, level: float) -> Floats:
    """The same, weighted by the share of `seeds - both`."""
    return mixed(draws, level, np.maximum(draws.seeds - draws.both, 0.0) / draws.variance)


def mixed(draws: Draws, level: float, share: Floats) -> Floats:
    """The least difference that is shown, with this share of the seeds."""
    estimate = Estimate(0.0, 1.0, share, draws.df_seeds, draws.n_docs - 1)  # type: ignore[arg-type]
    return np.asarray(estimate.critical(level)) * np.sqrt(draws.variance)


def satterthwaite(draws: Draws, level: float) -> Floats:
    """t with the degrees of freedom of a sum of variances."""
    squares = draws.docs**2 / (draws.n_docs - 1) + draws.seeds**2 / draws.df_seeds
    return np.asarray(-stdtrit(draws.variance**2 / squares, level / 2) * np.sqrt(draws.variance))


def docs_alone(draws: Draws, level: float) -> Floats:
    """A test that takes the seeds as given."""
    return np.asarray(-stdtrit(draws.n_docs - 1, level / 2) * np.sqrt(draws.docs))


RULES: dict[str, RuleT] = {
    "weighted": weighted,
    "Satterthwaite": satterthwaite,
    "weighted by seeds - both": weighted_by_rest,
    "docs alone": docs_alone,
}


if __name__ == "__main__":
    main()
