"""Calibration error before and after, and the coverage of prediction sets, on docs that neither was fitted on.

    python benchmarks/scores/calibration.py measure training/*/model-best --data ../shared/data/snips
    python benchmarks/scores/calibration.py entities --data ../shared/data/wnut17 --seeds 0 1 2
    python benchmarks/scores/calibration.py shift --data ../shared/data/ewt --genres reviews weblog
    python benchmarks/scores/calibration.py table training/calibration

measure: temperatures are fitted on dev, and probabilities are measured on test, on gold tokens. The annotation of test
must be the same before and after. Then the test docs are split at random 100 times into as many for calibration as for
test, and at 80, 90 and 95 % it is counted for how many docs of the second half the truth is in the prediction set. Over
such splits the share follows a beta-binomial distribution; "in band" counts the splits that lie in its central 95 %.
entities: the entity recognizer of `configs/cpu.cfg` is trained alone, and measured.
shift: a pipeline is trained on four genres, and calibrated on their dev docs; its sets are counted on the fifth.
All rows are added to `results.jsonl` in the output folder; table prints them as mean over seeds.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from runs import RowT, load_config, read_rows, set_steps, spread, train, write_docs
from scipy.stats import betabinom
from score_options import REQUIRED, ROOT, make_parser
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.calibration.calibrate import HeldOut, Part, calibrate, sizes_of
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.calibration.conformal import conformal_limit
from spacy_mtl.calibration.gold_scores import read_examples
from spacy_mtl.calibration.measures import measure
from spacy_mtl.pipeline.doc_confidence import find_sets
from spacy_mtl.pipeline.extraction import find_with_heads
from spacy_mtl.protocols.head_calibration import RanksOutcomes, SetRule

COVERAGES = (0.8, 0.9, 0.95)
N_SPLITS = 100
MOST = 32
PREFIX = "genre="
SPLITS = ("train", "dev", "test")
PARTS = ("others", "own")


def main() -> None:
    parser = make_parser(__doc__, data=REQUIRED, output=ROOT / "training" / "calibration", seeds=[0], steps=300, docs=0)
    parser.add_argument("command", choices=["measure", "entities", "shift", "table"])
    parser.add_argument("models", nargs="*", help="measure: trained pipelines, one a seed")
    parser.add_argument("--genres", nargs="+", default=["reviews"], help="shift: genres to hold out, in turn")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.command == "measure":
        for path in args.models:
            save(args.output, measure_all(args.data.name, path, args.data))
    elif args.command == "entities":
        for seed in args.seeds:
            model = train(entities_config(args, seed), args.output, f"{args.data.name}_entities")
            save(args.output, measure_all(args.data.name, str(model), args.data))
    elif args.command == "shift":
        for seed in args.seeds:
            for genre in args.genres:
                save(args.output, shift(args, genre, seed))
    print_tables(read_rows(args.output))


def save(output: Path, rows: Iterator[RowT]) -> None:
    """Add rows to the results."""
    with (output / "results.jsonl").open("a", encoding="utf8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def entities_config(args: argparse.Namespace, seed: int) -> Config:
    """The config of the recognizer alone."""
    paths = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    config = set_steps(load_config(ROOT / "configs" / "cpu.cfg", paths | {"system.seed": seed}), args.steps)
    multitask = config["components"]["multitask"]
    multitask["heads"] = {"slots": multitask["heads"]["slots"] | {"condition_on": None, "consistent_with": None}}
    multitask["weighting"]["weights"] = {"slots": 1.0}
    config["training"]["score_weights"] = {"slots_f": 1.0}
    return config


def measure_all(name: str, path: str, data: Path) -> Iterator[RowT]:
    """Calibrate on dev, and measure on test."""
    nlp = spacy.load(path)
    component = find_with_heads(nlp, None)
    dev, test = (read_examples(nlp, data / f"{split}.spacy") for split in ("dev", "test"))
    before = annotated_docs(nlp, test)
    found = calibrate(nlp, component, dev, CalibrationSettings(), held_out=test)
    pipe: Any = nlp.get_pipe(component)
    after = annotated_docs(nlp, test)
    heads = {key: pipe.heads[key] for key in found.heads}
    held = HeldOut.of(nlp, component, test, heads)
    for key, head in heads.items():
        start = {"set": name, "model": path, "head": key}
        same = all(map(head.same_annotation, before, after))
        for unit, part in found.heads[key].parts.items():
            yield start | {"kind": "error", "unit": unit, "same": same} | measures_of(part)
        if isinstance(head, RanksOutcomes):
            for coverage in COVERAGES:
                yield (
                    start
                    | {"kind": "coverage"}
                    | coverage_of(held.gold_logs[key], coverage)
                    | sizes(key, head, held, coverage)
                )


def measures_of(part: Part) -> RowT:
    """The measures of a kind of probability, before and after."""
    names = ("ece", "ece_by_chance", "adaptive_ece", "brier", "nll")
    values = {name: [getattr(part.before, name), getattr(part.after, name)] for name in names}
    return {"temperature": part.temperature, "n": part.after.n, "accuracy": part.after.accuracy} | values


def annotated_docs(nlp: Language, examples: Sequence[Example]) -> list[Doc]:
    """The docs as the pipeline annotates them."""
    return list(nlp.pipe([eg.predicted.copy() for eg in examples]))


def coverage_of(gold_logs: "np.ndarray[tuple[int], np.dtype[np.float64]]", coverage: float) -> RowT:
    """Count covered docs over random splits of docs into halves."""
    known = -gold_logs[~np.isnan(gold_logs)]
    n_first = len(known) // 2
    n_second, rank = len(known) - n_first, int(np.ceil((n_first + 1) * coverage - 1e-9))
    rng, shares = np.random.default_rng(0), []
    for _ in range(N_SPLITS):
        order = rng.permutation(known)
        shares.append(float((order[n_first:] <= conformal_limit(order[:n_first], coverage)).mean()))
    law = betabinom(n_second, rank, n_first + 1 - rank)
    low, high = (float(law.ppf(edge)) / n_second for edge in (0.025, 0.975))
    inside = sum(low <= share <= high for share in shares)
    return {
        "coverage": coverage,
        "n": [n_first, n_second],
        "mean": float(np.mean(shares)),
        "expected": rank / (n_first + 1),
        "band": [low, high],
        "inside": int(inside),
        "ties": int(len(known) - len(np.unique(known))),
    }


def sizes(key: str, head: Any, held: HeldOut, coverage: float) -> RowT:
    """Measure the sets of the held-out docs with the limit that all of them give."""
    logs = held.gold_logs[key]
    known = -logs[~np.isnan(logs)]
    rule = SetRule(coverage, "lac", conformal_limit(known, coverage), MOST, len(known))
    found = sizes_of([one for batch in held.batches for one in find_sets(head, rule, batch.docs, batch.scores[key])])
    return {name: getattr(found, name) for name in ("mean_size", "answered", "empty", "incomplete")}


def shift(args: argparse.Namespace, genre: str, seed: int) -> Iterator[RowT]:
    """Train without a genre, calibrate on dev docs of the others, and count on test docs of both."""
    folder = args.output / f"without-{genre}"
    for split in SPLITS:
        docs = list(DocBin().from_disk(args.data / f"{split}.spacy").get_docs(spacy.blank("en").vocab))
        for part in PARTS:
            chosen = [doc for doc in docs if is_of(doc, genre) == (part == "own")]
            write_docs(map(without_genre, chosen), folder / part / f"{split}.spacy")
    paths = {f"paths.{split}": str(folder / "others" / f"{split}.spacy") for split in ("train", "dev")}
    config = set_steps(load_config(ROOT / "configs" / "tagging.cfg", paths | {"system.seed": seed}), args.steps)
    config["training"].update(max_epochs=0)
    multitask = config["components"]["multitask"]
    multitask["heads"] = {key: multitask["heads"][key] for key in ("pos", "entities")}
    multitask["weighting"]["weights"] = {"pos": 1.0, "entities": 1.0}
    config["training"]["score_weights"] = {"pos_acc": 0.5, "entities_f": 0.5}
    nlp = spacy.load(train(config, args.output, f"without_{genre}"))
    component = find_with_heads(nlp, None)
    dev = read_examples(nlp, folder / "others" / "dev.spacy")
    for coverage in COVERAGES:
        found = calibrate(nlp, component, dev, CalibrationSettings(coverage))
        pipe: Any = nlp.get_pipe(component)
        for tested in PARTS:
            test = read_examples(nlp, folder / tested / "test.spacy")
            held = HeldOut.of(nlp, component, test, {key: pipe.heads[key] for key in found.heads})
            for key, one in found.heads.items():
                start = {"genre": genre, "tested": tested, "seed": seed, "head": key, "coverage": coverage}
                for unit, part in one.parts.items():
                    old, new = (measure(held.evidence[key][unit], value) for value in (1.0, part.temperature))
                    assert old and new, f"head {key!r} predicts nothing"  # noqa: PT018
                    yield (
                        start
                        | {"kind": "error under shift", "unit": unit}
                        | measures_of(Part(part.temperature, old, new))
                    )
                if one.rule is not None:
                    known = held.gold_logs[key][~np.isnan(held.gold_logs[key])]
                    covered = float((known >= -one.rule.limit).mean())
                    yield start | {"kind": "coverage under shift", "n": len(known), "covered": covered}


def is_of(doc: Doc, genre: str) -> bool:
    """Whether a doc is of a genre."""
    return doc.cats.get(f"{PREFIX}{genre}", 0.0) > 0


def without_genre(doc: Doc) -> Doc:
    """Remove the genre, which is not learned."""
    doc.cats = {}
    return doc


def print_tables(rows: Sequence[RowT]) -> None:
    """Print all results as markdown, mean and spread over the models of a set."""
    errors = [row for row in rows if row["kind"] == "error"]
    for row in errors:
        row["of"] = f"{row['set']}, {row['head']}, {row['unit']}"
    print_errors("set, head, unit", errors)
    covered = [row for row in rows if row["kind"] == "coverage"]
    header = ("set, head, coverage", "models", "mean", "expected", "band", "splits in band %", "size", "answered %")
    print(f"\n| {' | '.join(header)} | not all listed % |\n" + "|---" * 9 + "|")
    for name in dict.fromkeys((row["set"], row["head"], row["coverage"]) for row in covered):
        own = [row for row in covered if (row["set"], row["head"], row["coverage"]) == name]
        mean = {key: np.mean([row[key] for row in own], axis=0) for key in COLUMNS}
        print(
            f"| {name[0]}, {name[1]}, {100 * name[2]:g} % | {len(own)} | {100 * mean['mean']:.1f} | "
            f"{100 * mean['expected']:.1f} | {100 * mean['band'][0]:.1f} to {100 * mean['band'][1]:.1f} | "
            f"{mean['inside']:.0f} | {mean['mean_size']:.2f} | {100 * mean['answered']:.1f} | "
            f"{100 * mean['incomplete']:.1f} |"
        )
    shifted = [row for row in rows if row["kind"] == "error under shift" and row["coverage"] == COVERAGES[0]]
    for row in shifted:
        row["of"] = f"without {row['genre']}, {row['head']}, {row['unit']}, docs of {row['tested']}"
    print_errors("head, unit, docs", shifted)
    print("\n| without, head, docs of | runs | coverage % | covered % |\n" + "|---" * 4 + "|")
    moved = [row for row in rows if row["kind"] == "coverage under shift"]
    for name in dict.fromkeys((row["genre"], row["head"], row["tested"], row["coverage"]) for row in moved):
        own = [row for row in moved if (row["genre"], row["head"], row["tested"], row["coverage"]) == name]
        cell = spread([100 * row["covered"] for row in own])
        print(f"| {', '.join(name[:3])} | {len(own)} | {100 * name[3]:g} | {cell} |")


def print_errors(title: str, rows: Sequence[RowT]) -> None:
    """Print calibration errors, one line for each "of"."""
    header = (
        title,
        "models",
        "decisions",
        "right %",
        "temperature",
        "ECE % before",
        "after",
        "by chance",
        "Brier before",
    )
    print(f"\n| {' | '.join(header)} | after | same |\n" + "|---" * 11 + "|")
    for name in dict.fromkeys(row["of"] for row in rows):
        own = [row for row in rows if row["of"] == name]
        cells = [f"{np.mean([row['n'] for row in own]):.0f}", spread([100 * row["accuracy"] for row in own])]
        cells += [spread([row["temperature"] for row in own])]
        cells += [spread([100 * row["ece"][side] for row in own]) for side in (0, 1)]
        cells += [f"{100 * np.mean([row['ece_by_chance'][1] for row in own]):.2f}"]
        cells += [f"{np.mean([row['brier'][side] for row in own]):.4f}" for side in (0, 1)]
        print(f"| {name} | {len(own)} | {' | '.join(cells)} | {all(row.get('same', True) for row in own)} |")


COLUMNS = ("mean", "expected", "band", "inside", "mean_size", "answered", "incomplete")


if __name__ == "__main__":
    main()
