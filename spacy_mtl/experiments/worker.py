"""The process of one run: python -m spacy_mtl.experiments.worker FOLDER [--gpu-id N] [--code FILE]

FOLDER has the `run.json` and the `config.cfg` of the run. It gets the model, the predictions, and last the result.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from spacy.cli._util import import_code, setup_gpu
from spacy.language import Language
from spacy.util import load_config, load_model, registry
from thinc.api import Config, Model

from ..pipeline.parameter_counts import count_parameters
from .predictions import annotate, save_predictions, score
from .run import JUDGED
from .run_folder import CONFIG, MODEL, RESULT, read_steps, write_json
from .train_pipeline import train_pipeline

TRAINING = "training"


def main() -> None:
    """Train, evaluate, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--code", type=Path)
    args = parser.parse_args()
    import_code(args.code)
    setup_gpu(args.gpu_id)
    carry_out(args.folder, use_gpu=args.gpu_id)


def carry_out(folder: Path, *, use_gpu: int = -1) -> None:
    """Train the config of the folder and evaluate the best model."""
    config = load_config(folder / CONFIG, interpolate=False)
    start = time.perf_counter()
    best = train_pipeline(config, folder / TRAINING, use_gpu=use_gpu, stdout=sys.stdout)
    seconds = time.perf_counter() - start
    forget_folder(best)
    os.replace(best, folder / MODEL)
    shutil.rmtree(folder / TRAINING)
    nlp = load_model(folder / MODEL)
    scores = {split: evaluate_split(nlp, config, folder, split) for split in splits_of(config)}
    cost = {"train_seconds": seconds, **size_of(nlp, folder / MODEL), **effort(folder)}
    write_json(folder / RESULT, {"scores": scores, "cost": cost})


def forget_folder(model: Path) -> None:
    """Take the run's folder out of the pipeline's config, where only the logger names it: the same run elsewhere gives
    the same pipeline.
    """
    config = load_config(model / CONFIG, interpolate=False)
    config["training"]["logger"]["path"] = None
    config.to_disk(model / CONFIG)


def splits_of(config: Config) -> list[str]:
    """The splits that the config has a reader to judge on for."""
    return [split for split, section in JUDGED.items() if section in config["corpora"]]


def evaluate_split(nlp: Language, config: Config, folder: Path, split: str) -> dict[str, Any]:
    """Predict and score a split, and save the predictions."""
    reader = registry.resolve(config.interpolate()["corpora"])[JUDGED[split]]
    examples = annotate(nlp, reader)
    scores, verdicts = score(nlp, examples)
    save_predictions(nlp, examples, verdicts, folder, split)
    found: dict[str, Any] = plain(scores)
    return found


def plain(value: Any) -> Any:
    """The value with Python's numbers in the place of numpy's."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def size_of(nlp: Language, path: Path) -> dict[str, int]:
    """Number of weights, and bytes on disk."""
    networks: list[Any] = [getattr(pipe, "model", None) for _, pipe in nlp.pipeline]
    parameters = sum(count_parameters(network) for network in networks if isinstance(network, Model))
    return {"parameters": parameters, "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file())}


def effort(folder: Path) -> dict[str, float]:
    """Steps and words of the training, and the step of the best evaluation."""
    steps = read_steps(folder)
    if not steps:
        return {}
    best = max(steps, key=lambda step: step["score"])
    return {"steps": steps[-1]["step"], "train_words": steps[-1]["words"], "best_step": best["step"]}


if __name__ == "__main__":
    main()
