"""The toy problem of the papers on CAGrad and FAMO: two losses of two parameters, five starting points.

    python benchmarks/toy_balance.py --out docs/images/toy_balance.svg

Draws where each weighting leads, and prints from how many starting points it reaches the Pareto front: the segment
between the minima of both losses, where no step lowers both. The losses and the starting points are those of Liu et
al. 2021 (CAGrad, appendix) and Liu et al. 2023 (FAMO); Adam with a learning rate of 0.001, 50,000 steps by default.
"""

import argparse
from pathlib import Path

import numpy as np

from spacy_mtl.protocols.weighting import MergesGradients, Step
from spacy_mtl.weightings.aligned_mtl import make_aligned_mtl_v1
from spacy_mtl.weightings.cagrad import make_cagrad_v1
from spacy_mtl.weightings.dwa import make_dwa_v1
from spacy_mtl.weightings.famo import make_famo_v1
from spacy_mtl.weightings.grad_norm import make_grad_norm_v1
from spacy_mtl.weightings.imtlg import make_imtlg_v1
from spacy_mtl.weightings.mgda import make_mgda_v1
from spacy_mtl.weightings.nash_mtl import make_nash_mtl_v1
from spacy_mtl.weightings.norm_scaling import make_norm_scaling_v1
from spacy_mtl.weightings.pcgrad import make_pcgrad_v1
from spacy_mtl.weightings.rlw import make_rlw_v1
from spacy_mtl.weightings.static import make_static_v1
from spacy_mtl.weightings.upgrad import make_upgrad_v1

STARTS = [(-8.5, 7.5), (-8.5, 5.0), (0.0, 0.0), (9.0, 9.0), (10.0, -8.0)]
MAKERS = {
    "Static": make_static_v1,
    "RLW": make_rlw_v1,
    "DWA": make_dwa_v1,
    "GradNorm": make_grad_norm_v1,
    "FAMO": make_famo_v1,
    "NormScaling": make_norm_scaling_v1,
    "IMTLG": make_imtlg_v1,
    "NashMTL": make_nash_mtl_v1,
    "AlignedMTL": make_aligned_mtl_v1,
    "MGDA": make_mgda_v1,
    "PCGrad": make_pcgrad_v1,
    "CAGrad": make_cagrad_v1,
    "UPGrad": make_upgrad_v1,
}
LEAST = 5e-6
# a distance at which a point counts as on the front
NEAR = 0.5
# the least that both losses can be, so that FAMO's logarithms are of something above 0
FLOOR = -22.0


def losses_at(x, y):
    """The two losses at points; arrays may be of any one shape."""
    c1, c2 = np.maximum(np.tanh(y / 2), 0), np.maximum(np.tanh(-y / 2), 0)
    first = np.log(np.maximum(np.abs((-x - 7) / 2 - np.tanh(-y)), LEAST)) + 6
    second = np.log(np.maximum(np.abs((-x + 3) / 2 - np.tanh(-y) + 2), LEAST)) + 6
    third = ((-x + 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
    fourth = ((-x - 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
    return np.stack([c1 * first + c2 * third, c1 * second + c2 * fourth])


def gradients_at(point, eps=1e-6):
    """By central differences, (2 losses, 2 parameters)."""
    moved = point[None] + eps * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    found = losses_at(moved[:, 0], moved[:, 1])
    return np.stack([found[:, 0] - found[:, 1], found[:, 2] - found[:, 3]], axis=1) / (2 * eps)


def descend(weighting, start, n_steps, learn_rate):
    """The path of Adam, (n_steps + 1, 2)."""
    weighting.bind(["one", "two"])
    path = [np.array(start)]
    mean, square = np.zeros(2), np.zeros(2)
    for number in range(n_steps):
        point = path[-1]
        losses = dict(zip(("one", "two"), (losses_at(*point) - FLOOR).tolist(), strict=True))
        step = Step(number)
        weights = weighting.weights(losses, step)
        rows = {name: row * weights[name] for name, row in zip(losses, gradients_at(point), strict=True)}
        step.last_layer = rows
        gradient = sum(rows.values())
        if isinstance(weighting, MergesGradients):
            gradient = weighting.merge({name: row[None] for name, row in rows.items()}, step)[0]
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        unbiased = mean / (1 - 0.9 ** (number + 1)), square / (1 - 0.999 ** (number + 1))
        path.append(point - learn_rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8))
    return np.array(path)


def distance_to_front(x, y):
    """To the segment between the minima of both losses; at its ends a point may lie a little outside."""
    return float(np.hypot(max(abs(x) - 7, 0), y + 8))


def main(out, n_steps, learn_rate, methods):
    paths = {}
    for name in methods:
        paths[name] = [descend(MAKERS[name](), start, n_steps, learn_rate) for start in STARTS]
        ends = [distance_to_front(*path[-1]) for path in paths[name]]
        n_reached = sum(end < NEAR for end in ends)
        values = " ".join(f"({a:.1f}, {b:.1f})" for a, b in (losses_at(*path[-1]) for path in paths[name]))
        print(f"{name:12} on the front from {n_reached} of {len(STARTS)} starting points; losses {values}", flush=True)
    draw(paths, out)


def draw(paths, out):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "toy"
    from matplotlib import pyplot

    n_columns = 4
    n_rows = -(-len(paths) // n_columns)
    figure, axes = pyplot.subplots(n_rows, n_columns, figsize=(11, 2.7 * n_rows), sharex=True, sharey=True)
    x, y = np.meshgrid(np.linspace(-11, 11, 90), np.linspace(-11, 11, 90))
    for axis in axes.flat[len(paths) :]:
        axis.axis("off")
    for axis, (name, own) in zip(axes.flat, paths.items(), strict=False):
        axis.contour(x, y, losses_at(x, y).mean(axis=0), levels=12, linewidths=0.4, colors="#9aa4b0")
        axis.plot([-7, 7], [-8, -8], color="#888888", linewidth=3, alpha=0.5)
        for path in own:
            axis.plot(*path[:: max(1, len(path) // 200)].T, linewidth=1.2, color="#2a6fb0")
            axis.plot(*path[0], "o", color="black", markersize=3)
            axis.plot(*path[-1], "*", color="#c0392b", markersize=7)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/toy_balance.svg"))
    parser.add_argument("--steps", type=int, default=50000)
    parser.add_argument("--learn-rate", type=float, default=0.001)
    parser.add_argument("--methods", nargs="+", choices=MAKERS, default=list(MAKERS))
    args = parser.parse_args()
    main(args.out, args.steps, args.learn_rate, args.methods)
