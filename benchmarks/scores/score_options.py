"""The options of the benchmarks of scores: each is defined here once, and a script names those that it has."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # what both folders use
DATA = Path(os.environ.get("SPACY_MTL_DATA") or ROOT.parent / "shared" / "data")
REQUIRED = object()
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


def make_parser(text: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """A parser with some of the options.

    text (str | None): The docstring of the script.
    defaults (Any): Value of each option that the script has; `REQUIRED` for none.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        value = {"required": True} if default is REQUIRED else {"default": default}
        parser.add_argument(f"--{name.replace('_', '-')}", **OPTIONS[name], **value)
    return parser
