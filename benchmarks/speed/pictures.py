"""One picture for each question, from the measurements in docs/benchmarks. Needs matplotlib.

python benchmarks/speed/pictures.py
"""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from speed_options import ROOT

FOLDER = ROOT / "docs" / "benchmarks"


def main() -> None:
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "bench"})
    for path in sorted(FOLDER.glob("pipelines-*.json")):
        plot_ratios(read(path), path.stem.removeprefix("pipelines-"))
    if (FOLDER / "scaling.json").exists():
        plot_scaling(read(FOLDER / "scaling.json"))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf8"))["results"]


def plot_ratios(results: Any, task: str) -> None:
    """Prediction and training speed over spaCy's joint pipeline, by the number of threads."""
    threads = [key for key in results if key.endswith("threads")]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True, layout="constrained")
    for axis, (title, rows_of) in zip(axes, READERS.items(), strict=True):
        for offset, key in enumerate(threads):
            rows = {name: row for name, row in rows_of(results[key]).items() if "alone" not in name}
            ratios = [row["ratio"] for row in rows.values()]
            medians = [ratio["median"] for ratio in ratios]
            errors = [[r["median"] - r["least"] for r in ratios], [r["greatest"] - r["median"] for r in ratios]]
            places = [i + 0.4 * offset for i in range(len(rows))]
            axis.barh(
                places,
                medians,
                height=0.38,
                xerr=errors,
                label="1 thread" if key == "1 threads" else key,
                color=f"C{offset}",
            )
            axis.set_yticks([i + 0.2 for i in range(len(rows))], list(rows))
        axis.set_title(f"{task}: {title}")
        axis.set_xlabel("times as fast as spaCy's joint pipeline")
    axes[0].legend()
    save(figure, f"speed-{task}")


READERS = {
    "prediction, batches of 256": lambda results: results["predict"]["256"],
    "training, batches of 500 words": lambda results: results["train"],
}


def plot_scaling(results: Any) -> None:
    """Cost by the number of heads, the length of a doc, and the number of entity types."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
    for kind, shares in results["heads"].items():
        axes[0].plot([int(n) for n in shares], list(shares.values()), "o-", label=kind)
    axes[0].set(title="more heads", xlabel="heads", ylabel="time over that of the encoder alone", ylim=0)
    axes[0].legend()
    lengths = [row["tokens"] for row in results["length"]]
    axes[1].plot(lengths, [row["microseconds_a_token"] for row in results["length"]], "o-")
    axes[1].set(title="longer docs", xlabel="tokens", ylabel="µs a token, five heads", xscale="log", ylim=0)
    for name, multiples in results["types"].items():
        axes[2].plot([int(n) for n in multiples], list(multiples.values()), "o-", label=name)
    axes[2].set(title="more entity types", xlabel="types", ylabel="time over that with the fewest", ylim=0)
    axes[2].legend()
    save(figure, "scaling")


def save(figure: Any, name: str) -> None:
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
