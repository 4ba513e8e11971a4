"""Each weighting on the toy problem of the CAGrad paper, as a picture. Needs matplotlib.

    python benchmarks/scores/toy_problem.py

Two losses of two parameters, with cliffs, valleys and gradients that conflict (Liu et al. 2021, "Conflict-Averse
Gradient Descent for Multi-task Learning", NeurIPS); the first is scaled by 0.1, as by Navon et al. 2022 ("Multi-Task
Learning as a Bargaining Game") and Liu et al. 2023 ("FAMO"), whose five starting points these are. 21 is added to both
before that, so that they are positive. Adam with a learning rate of 0.05. Weightings run as in training, through
their Protocol. Those that need scores, counts or schedules have nothing to work on here, and are left out.

It prints for each method from how many starts it comes to the Pareto front: nearer than 5 % of what the front spans in
both losses. It draws docs/benchmarks/toy_problem.svg.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from score_options import ROOT, make_parser
from spacy.util import registry
from thinc.api import Adam

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.protocols.weighting import LearnsByHead, MergesGradients, Step

STARTS = [(-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0)]
HEADS = ("one", "two")
SCALES = np.array([0.1, 1.0])
# it has no scores, no counts of gold and no schedules
LEFT_OUT = ("Targets", "Importance", "Scheduled")
LEARN_RATE = 0.05
N_POINTS = 90
NEAR = 0.05
PointsT = NDArray[np.float64]


def main() -> None:
    parser = make_parser(__doc__, steps=2000, systems=None)
    args = parser.parse_args()
    names = args.systems or [name for name in methods() if name not in LEFT_OUT]
    front = pareto_front()
    paths = {name: [descend(name, start, args.steps) for start in STARTS] for name in names}
    print("| method | starts from which it reaches the front | where, from 0 (second loss) to 1 (first loss) |")
    print("|---|---:|---|")
    for name in names:
        ends = np.array([losses_of(path[-1:])[0] for path in paths[name]])
        places = [place_on(front, end) for end in ends]
        found = ", ".join("no" if place is None else f"{place:.2f}" for place in places)
        print(f"| {name} | {sum(place is not None for place in places)} of {len(STARTS)} | {found} |", flush=True)
    draw(paths, front)


def methods() -> list[str]:
    """Return the names of the weightings, without package and version."""
    return sorted(name.split(".")[1] for name in registry.mtl_weightings.get_all() if name.startswith("spacy_mtl."))


def losses_of(points: PointsT) -> PointsT:
    """Compute both losses at each point, (n_points, 2)."""
    x, y = points[:, 0], points[:, 1]
    above, below = np.tanh(0.5 * y).clip(min=0), np.tanh(-0.5 * y).clip(min=0)
    cliffs = [np.abs(0.5 * (-x - 7) - np.tanh(-y)), np.abs(0.5 * (-x + 3) + np.tanh(-y) + 2)]
    valleys = [(-x + 7) ** 2, (-x - 7) ** 2]
    found = [
        above * (np.log(cliff.clip(min=5e-6)) + 6) + below * ((valley + 0.1 * (-y - 8) ** 2) / 10 - 20)
        for cliff, valley in zip(cliffs, valleys, strict=True)
    ]
    return (np.stack(found, axis=1) + 21) * SCALES


def slopes_of(point: PointsT) -> tuple[PointsT, PointsT]:
    """Compute both losses at a point, (2,), and their gradients by central differences, (2, 2)."""
    step = 1e-6
    moves = step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    found = losses_of(point + moves)
    return found[0], np.stack([found[1] - found[2], found[3] - found[4]], axis=1) / (2 * step)


def descend(name: str, start: tuple[float, float], steps: int) -> PointsT:
    """Follow a method from a start. RETURNS: the points on its way, (n_steps + 1, 2)."""
    weighting: Any = registry.mtl_weightings.get(f"spacy_mtl.{name}.v1")()
    weighting.bind(HEADS)
    optimizer = Adam(LEARN_RATE, L2=0.0, grad_clip=0.0, use_averages=False)
    point, path = np.array(start, dtype="f"), [start]
    for number in range(steps):
        losses, slopes = slopes_of(point.astype("d"))
        update = combine(weighting, dict(zip(HEADS, losses.tolist(), strict=True)), slopes.astype("f"), number)
        point, _ = optimizer((0, "point"), point, update)
        if isinstance(weighting, LearnsByHead):
            for layer in weighting.layers.values():
                layer.finish_update(optimizer)
        path.append(tuple(point.tolist()))
    return np.array(path)


def combine(weighting: Any, losses: Mapping[str, float], slopes: NDArray[np.float32], number: int) -> Any:
    """Do what the component does in a step, with the parameters as the last layer and as the vectors of one token."""
    step = Step(number)
    weights = weighting.weights(losses, step)
    gradients: dict[str, Any] = {name: slope * weights[name] for name, slope in zip(HEADS, slopes, strict=True)}
    if not isinstance(weighting, MergesGradients):
        return gradients["one"] + gradients["two"]
    step.last_layer = gradients
    merged: Any = weighting.merge({name: gradient[None] for name, gradient in gradients.items()}, step)
    return merged[0]


def pareto_front() -> PointsT:
    """Compute the losses along the front, (n, 2), from the best for the second loss to the best for the first. It lies
    between the two minima, at the lowest place of both valleys.
    """
    lowest = minimize_scalar(lambda y: losses_of(np.array([[0.0, y]])).sum(), bounds=(-20.0, -1.0), method="bounded").x
    x = np.linspace(-7, 7, 400)
    return losses_of(np.stack([x, np.full(len(x), lowest)], axis=1))


def place_on(front: PointsT, end: PointsT) -> float | None:
    """Find where on the front a method has ended, from 0 to 1; None if it has not reached it."""
    distances = np.linalg.norm((end - front) / np.ptp(front, axis=0), axis=1)
    return None if distances.min() > NEAR else float(distances.argmin()) / (len(front) - 1)


def draw(paths: Mapping[str, list[PointsT]], front: PointsT) -> None:
    """Draw a panel for each method: its ways through the losses, their starts and ends, and the front."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "toy", "font.size": 8})
    n_columns = 5
    n_rows = -(-len(paths) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(11, 2.3 * n_rows), sharex=True, sharey=True, squeeze=False)
    for axis, (name, ways) in zip(axes.flat, paths.items(), strict=False):
        for number, way in enumerate(ways):
            chosen = np.unique(np.geomspace(1, len(way), N_POINTS).astype("int64") - 1)
            losses = losses_of(way[chosen])
            axis.plot(*losses.T, color=f"C{number}", linewidth=0.9)
            axis.plot(*losses[0], "o", color=f"C{number}", markersize=4, markerfacecolor="white")
            axis.plot(*losses[-1], "o", color=f"C{number}", markersize=4)
        axis.plot(*front.T, color="black", linewidth=3, alpha=0.35, zorder=0)
        axis.set_title(name)
    for axis in axes.flat[len(paths) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("first loss")
    for axis in axes[:, 0]:
        axis.set_ylabel("second loss")
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "benchmarks" / "toy_problem.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
