"""The options of the benchmarks of scores: each is defined here once, and a script names those that it has."""

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # what both folders use

from option_parser import DATA, REQUIRED, ROOT, parser_maker

__all__ = ["DATA", "REQUIRED", "ROOT", "SEEDS", "make_parser"]
SEEDS = [0, 1, 2]
OPTIONS: dict[str, dict[str, Any]] = {
    "data": {"type": Path, "help": "folder of the corpus or corpora, as the text above says"},
    "output": {"type": Path, "help": "folder for runs and results; finished runs are not repeated"},
    "config": {"type": Path, "help": "training config"},
    "seeds": {"type": int, "nargs": "+", "help": "seeds of each system"},
    "seed": {"type": int, "help": "seed of the draw, and of the training if there is one"},
    "steps": {"type": int, "help": "steps of training"},
    "systems": {"nargs": "+", "help": "what is trained"},
    "scores": {"nargs": "+", "help": "scores in the table"},
    "transformer": {"help": "a Hugging Face model: a folder or a name"},
    "jobs": {"type": int, "help": "trainings at the same time, each with one thread"},
    "docs": {"type": int, "help": "number of docs"},
}

make_parser = parser_maker(OPTIONS)
