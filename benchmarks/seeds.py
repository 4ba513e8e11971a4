"""Train a config with several seeds, choose on dev, and print mean and spread of its test scores as a table.

    python benchmarks/seeds.py configs/cpu.cfg ../shared/data/snips --scores slots_f intent_acc multitask_exact

Other settings go to `spacy train`, such as `--training.dropout 0.1`. Gold tokens are used in the test.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import spacy
from runs import spread
from spacy.training import Corpus


def train(config: Path, data: Path, output: Path, *, seed: int, overrides: list[str]) -> Path:
    """Run `spacy train`. RETURNS: the model that is best on dev."""
    paths = ["--paths.train", str(data / "train.spacy"), "--paths.dev", str(data / "dev.spacy")]
    seeds = ["--system.seed", str(seed)]
    command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(output), *paths, *seeds, *overrides]
    with (output.parent / f"{output.name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return output / "model-best"


def evaluate(model: Path, data: Path) -> dict[str, float]:
    """Scores of a pipeline on gold tokens, in per cent."""
    nlp = spacy.load(model)
    scores = nlp.evaluate(list(Corpus(data, gold_preproc=True)(nlp)))
    return {name: 100 * value for name, value in scores.items() if isinstance(value, float)}


def table(rows: dict[str, dict[str, float]], names: list[str]) -> str:
    """A markdown table of the runs, with mean and standard deviation."""
    lines = [f"| run | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for run, scores in rows.items():
        lines.append(f"| {run} | {' | '.join(f'{scores[name]:.2f}' for name in names)} |")
    columns = [[scores[name] for scores in rows.values()] for name in names]
    return "\n".join([*lines, f"| mean ± sd | {' | '.join(map(spread, columns))} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path, help="folder with train.spacy, dev.spacy and test.spacy")
    parser.add_argument("--output", type=Path, default=Path("training/seeds"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scores", nargs="+", required=True)
    args, overrides = parser.parse_known_args()
    args.output.mkdir(parents=True, exist_ok=True)
    rows = {}
    for seed in args.seeds:
        output = args.output / f"{args.config.stem}-{args.data.name}-{seed}"
        best = train(args.config, args.data, output, seed=seed, overrides=overrides)
        rows[f"seed {seed}"] = evaluate(best, args.data / "test.spacy")
        print(
            json.dumps({"seed": seed} | {name: round(rows[f"seed {seed}"][name], 2) for name in args.scores}),
            flush=True,
        )
    print(table(rows, args.scores))


if __name__ == "__main__":
    main()
