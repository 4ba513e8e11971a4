"""How often mtl compare says "helped" or "hurt" where nothing differs, and how often where something does.

    python benchmarks/scores/false_alarms.py
    python benchmarks/scores/false_alarms.py --runs training/ten_seeds/runs/joint-seed*

Without `--runs` the docs are simulated: the logit of a right answer varies with the doc, with the doc in this system,
with the seed, and with the answer. With `--runs` they are those of real runs of one system, at least six: two systems
are drawn from its seeds, and docs with replacement. Both systems are the same, so each verdict is a false alarm. Then a
difference is planted: in one system wrong docs become right.

Several heads are judged together; an alarm is a verdict on any of them. Writes `NAME.json` to the output folder, and
with matplotlib a picture of the power, `NAME.svg`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from score_options import ROOT, make_parser

from spacy_mtl.comparison.detectable import smallest_detectable
from spacy_mtl.comparison.paired_test import JudgedRuns, paired_test
from spacy_mtl.comparison.verdict import ALPHA, holm
from spacy_mtl.metrics.class_metrics import main_score_of_classes
from spacy_mtl.metrics.span_metrics import main_score_of_spans

Counts = NDArray[np.float64]
DrawT = Callable[[np.random.Generator], list[tuple[JudgedRuns, JudgedRuns]]]
SPREADS = {"no spread over seeds": 0.0, "0.1": 0.1, "0.3": 0.3, "1.0": 1.0}
SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main() -> None:
    parser = make_parser(__doc__, output=ROOT / "docs" / "benchmarks", seed=0)
    parser.add_argument("--runs", type=Path, nargs="+", help="folders of runs of one system, with judged-SPLIT.npz")
    parser.add_argument("--split", default="test")
    parser.add_argument("--heads", type=int, default=4, help="number of simulated heads")
    parser.add_argument("--seeds-a-system", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--repeats", type=int, default=1000)
    args = parser.parse_args()
    name, alarms, curves = measure_runs(args) if args.runs else measure_simulated(args)
    print_alarms(alarms, args.repeats)
    print_curves(curves)
    result = {"alarms": alarms, "curves": curves, "repeats": args.repeats, "seed": args.seed}
    (args.output / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    draw_picture(curves, args.output / f"{name}.svg")


def measure_simulated(args: argparse.Namespace) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """Alarms for each spread over seeds, with systems that agree on the docs and with some that do not; power."""
    alarms = []
    for n_seeds in args.seeds_a_system:
        for spread, sd_seed in SPREADS.items():
            for agreement, sd_doc in (("same difficulty", 0.0), ("own difficulty", 1.0)):
                draw = simulation(args.heads, n_seeds, sd_seed, sd_doc)
                found = repeat(draw, args)
                alarms.append({"seeds": n_seeds, "spread": spread, "docs": agreement, "heads": args.heads, **found})
    curves = {
        f"{n_seeds} seeds, spread {sd_seed}": power_curve(simulation(1, n_seeds, sd_seed, 1.0), args)
        for n_seeds in args.seeds_a_system
        for sd_seed in (0.0, 0.3)
    }
    return "compare_simulated", alarms, curves


def measure_runs(args: argparse.Namespace) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """Alarms for one real system against itself; power for each of its heads."""
    heads = read_heads(args.runs, args.split)
    alarms, curves = [], {}
    for n_seeds in (n for n in args.seeds_a_system if 2 * n <= len(args.runs)):
        found = repeat(resampling(heads, n_seeds), args)
        spread = ", ".join(f"{head} {scores(counts).std(ddof=1):.4f}" for head, counts in heads.items())
        alarms.append({"seeds": n_seeds, "spread": spread, "docs": "real", "heads": len(heads), **found})
        for head, counts in heads.items():
            curves[f"{head}, {n_seeds} seeds"] = power_curve(resampling({head: counts}, n_seeds), args)
    return "compare_real", alarms, curves


def simulation(n_heads: int, n_seeds: int, sd_seed: float, sd_doc: float, n_docs: int = 700) -> DrawT:
    """Draws of two systems whose true scores are equal."""

    def draw(rng: np.random.Generator) -> list[tuple[JudgedRuns, JudgedRuns]]:
        pairs = []
        for _ in range(n_heads):
            shared = 2.0 + 1.5 * rng.normal(size=n_docs)
            logits = shared + sd_doc * rng.normal(size=(2, 1, n_docs)) + sd_seed * rng.normal(size=(2, n_seeds, 1))
            right = (rng.random((2, n_seeds, n_docs)) < 1 / (1 + np.exp(-logits))).astype("float64")
            pairs.append(tuple(JudgedRuns(np.stack([np.ones_like(one), one], axis=-1), main_score_of) for one in right))
        return pairs

    return draw


def resampling(heads: dict[str, Counts], n_seeds: int) -> DrawT:
    """Draws of two systems from the seeds and docs of one."""

    def draw(rng: np.random.Generator) -> list[tuple[JudgedRuns, JudgedRuns]]:
        n_runs, n_docs = next(iter(heads.values())).shape[:2]
        seeds, docs = rng.permutation(n_runs), rng.integers(n_docs, size=n_docs)
        halves = (seeds[:n_seeds], seeds[n_seeds : 2 * n_seeds])
        return [tuple(JudgedRuns(counts[half][:, docs], main_score_of) for half in halves) for counts in heads.values()]

    return draw


def read_heads(folders: list[Path], split: str) -> dict[str, Counts]:
    """Head -> counts of all runs, (n_seeds, n_docs, n_counts), of heads whose score is an accuracy or an F1."""
    arrays = [np.load(folder / f"judged-{split}.npz") for folder in folders]
    return {head: np.stack([array[head] for array in arrays]) for head in arrays[0].files}


def main_score_of(counts: Counts) -> Counts:
    """Accuracy from the counts of an exclusive classifier, F1 from those of spans or tokens."""
    return main_score_of_classes(counts, exclusive=True) if counts.shape[-1] == 2 else main_score_of_spans(counts)


def scores(counts: Counts) -> Counts:
    """The score of each run."""
    return main_score_of(counts.sum(axis=1))


def perfect(counts: Counts) -> Counts:
    """The counts of runs that are right in every doc. The first count is 1 for a doc with gold."""
    if counts.shape[-1] == 2:
        return counts[..., [0, 0]]
    true, _, missed = np.moveaxis(counts[..., 1:], -1, 0)
    return np.stack([counts[..., 0], true + missed, 0 * true, 0 * true], axis=-1)


def plant(runs: JudgedRuns, share: float, rng: np.random.Generator) -> JudgedRuns:
    """The runs with a share of the docs right that would be wrong, each time others."""
    chosen = rng.random(runs.counts.shape[:2]) < share
    return JudgedRuns(np.where(chosen[..., None], perfect(runs.counts), runs.counts), main_score_of)


def repeat(draw: DrawT, args: argparse.Namespace) -> dict[str, float]:
    """The share of comparisons with a false alarm, over all heads, and for single heads without correction."""
    rng = np.random.default_rng(args.seed)
    p_values = np.array([[paired_test(*pair).p for pair in draw(rng)] for _ in range(args.repeats)])
    any_alarm = [min(holm(list(row))) <= ALPHA for row in p_values]
    return {"alarms": float(np.mean(any_alarm)), "single": float((p_values <= ALPHA).mean())}


def power_curve(draw: DrawT, args: argparse.Namespace) -> dict[str, list[float]]:
    """For each share of planted docs: the true difference, and how often it is shown, for one head."""
    rng = np.random.default_rng(args.seed)
    curve: dict[str, list[float]] = {"difference": [], "power": [], "detectable": []}
    for share in SHARES:
        found = []
        for _ in range(args.repeats // 4):
            ((one, other),) = draw(rng)
            found.append(paired_test(plant(one, share, rng), other))
        curve["difference"].append(float(np.mean([estimate.value for estimate in found])))
        curve["power"].append(float(np.mean([estimate.p <= ALPHA and estimate.value > 0 for estimate in found])))
        detectable = [smallest_detectable(estimate, ALPHA) or 0.0 for estimate in found]
        curve["detectable"].append(float(np.median(detectable)))
    return curve


def print_alarms(alarms: list[dict[str, Any]], repeats: int) -> None:
    error = 100 * np.sqrt(ALPHA * (1 - ALPHA) / repeats)
    print(f"| seeds | spread over seeds | docs | heads | any head, % (± {error:.1f}) | one head, % |")
    print("|---|---|---|---|---|---|")
    for row in alarms:
        rates = f"{100 * row['alarms']:.1f} | {100 * row['single']:.1f}"
        print(f"| {row['seeds']} | {row['spread']} | {row['docs']} | {row['heads']} | {rates} |")


def print_curves(curves: dict[str, Any]) -> None:
    columns = ("comparison", "difference, points: shown, %", "called detectable, points", "shown there, %")
    print(f"\n| {' | '.join(columns)} |\n|---|---|---|---|")
    for name, curve in curves.items():
        points = zip(curve["difference"], curve["power"], strict=True)
        shown = ", ".join(f"{100 * value:.1f}: {100 * power:.0f}" for value, power in points)
        detectable = curve["detectable"][0]
        there = np.interp(detectable, curve["difference"], curve["power"])
        beyond = "more than " if detectable > curve["difference"][-1] else ""
        print(f"| {name} | {shown} | {100 * detectable:.1f} | {beyond}{100 * there:.0f} |")


def draw_picture(curves: dict[str, Any], path: Path) -> None:
    """Power by difference; nothing without matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "bench"})
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, curve in curves.items():
        axis.plot(
            [100 * value for value in curve["difference"]], [100 * power for power in curve["power"]], "o-", label=name
        )
    axis.axhline(80, color="grey", linewidth=0.8, linestyle="dashed")
    axis.axhline(2.5, color="grey", linewidth=0.8, linestyle="dotted")
    axis.set(xlabel="true difference, points", ylabel="comparisons that show it, %", ylim=(0, 101))
    axis.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
