"""How well estimates of which heads help each other agree with what trained pairs show: Spearman's rank correlation.

    python -m spacy mtl compare config.cfg --pairs --output comparison
    python -m spacy mtl affinity config.cfg --output affinity
    python benchmarks/scores/affinity_vs_compare.py affinity/affinity.json comparison

For each two heads, what the one does to the other is the score of the other when both are trained together, minus its
score when it is trained alone. Two estimates are compared with it: the affinity of the one for the other, and the mean
cosine of their gradients in the joint training, the conflict of the read-out, which is the same in both directions.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scipy.stats import spearmanr
from score_options import make_parser

from spacy_mtl.affinity.estimate import read_affinity
from spacy_mtl.balance.readout_sums import add_up
from spacy_mtl.comparison.result import Comparison, read_comparison
from spacy_mtl.experiments.run_folder import read_steps

# head -> head that it acts on -> value
PairsT = Mapping[tuple[str, str], float]
FEWEST = 3


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("affinity", type=Path, help="affinity.json of mtl affinity")
    parser.add_argument("comparison", type=Path, help="folder of mtl compare --pairs")
    parser.add_argument("--split", choices=("test", "dev"), default="test")
    args = parser.parse_args()
    comparison = read_comparison(args.comparison / "report.json")
    measured = measured_effects(comparison, args.split)
    if len(measured) < FEWEST:
        parser.error(
            f"{args.comparison} has {len(measured)} measured effects of pairs on {args.split}; run mtl compare --pairs "
            "on a config with at least three heads"
        )
    estimates = {"affinity": affinities(args.affinity), "cosine": cosines(args.comparison, comparison)}
    print(table(measured, estimates))


def measured_effects(comparison: Comparison, split: str) -> dict[tuple[str, str], float]:
    """What a head does to another one: the difference of scores of the other, together and alone."""
    names = [head.name for head in comparison.heads]
    partners = {f"{one}+{other}": (one, other) for one in names for other in names}
    found = {}
    for difference in comparison.differences:
        pair = partners.get(difference.system)
        if pair is not None and difference.split == split and difference.difference is not None:
            (acting,) = set(pair) - {difference.head}
            found[acting, difference.head] = difference.difference
    return found


def affinities(path: Path) -> dict[tuple[str, str], float]:
    """The affinities of heads for each other."""
    return {
        (one, other): value
        for one, row in read_affinity(path).affinity.items()
        for other, value in row.items()
        if one != other and value is not None
    }


def cosines(folder: Path, comparison: Comparison) -> dict[tuple[str, str], float]:
    """The mean cosines of the heads' gradients, in both directions, over all joint trainings."""
    lines = [line for run in comparison.runs if run.system == "joint" for line in read_steps(folder / run.folder)]
    readouts = [readout for line in lines for readout in line.get("balance", {}).values()]
    pairs = add_up(readouts).get("conflict", [])
    return {order: pair["cosine"] for pair in pairs for order in (tuple(pair["heads"]), tuple(pair["heads"][::-1]))}


def correlation(measured: PairsT, estimate: PairsT) -> tuple[float, float, int]:
    """Spearman's rho over the pairs that both know, its p value of "there is none", and their number."""
    pairs = sorted(measured.keys() & estimate.keys())
    if len(pairs) < FEWEST:
        return float("nan"), float("nan"), len(pairs)
    found = spearmanr([estimate[pair] for pair in pairs], [measured[pair] for pair in pairs])
    return float(found.statistic), float(found.pvalue), len(pairs)


def table(measured: PairsT, estimates: Mapping[str, PairsT]) -> str:
    """The pairs and the correlations, in Markdown."""
    names = list(estimates)
    rows = [["head", "acts on", "measured, points", *names]]
    rows += [
        [one, other, f"{100 * effect:+.2f}", *(show(estimates[name].get((one, other))) for name in names)]
        for (one, other), effect in sorted(measured.items(), key=lambda item: -item[1])
    ]
    correlations = [["estimate", "rank correlation", "p", "pairs"]]
    for name in names:
        rho, p, n = correlation(measured, estimates[name])
        correlations.append([name, f"{rho:+.2f}", f"{p:.3f}", str(n)])
    return f"{markdown(rows)}\n\n{markdown(correlations)}"


def show(value: float | None) -> str:
    """An estimate, if there is one."""
    return "-" if value is None else f"{value:+.4f}"


def markdown(rows: Iterable[list[str]]) -> str:
    """A table whose first row is the header."""
    header, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *body])


if __name__ == "__main__":
    main()
