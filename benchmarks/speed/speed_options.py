"""The options of the speed benchmarks: each is defined here once, and a script names those that it has."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # what both folders use
DATA = Path(os.environ.get("SPACY_MTL_DATA") or ROOT.parent / "shared" / "data")
REQUIRED = object()
OPTIONS: dict[str, dict[str, Any]] = {
    "data": {"type": Path, "help": "corpus to measure on: a folder, or a .spacy file, as the text above says"},
    "output": {"type": Path, "help": "folder for trained pipelines"},
    "config": {"type": Path, "help": "training config"},
    "model": {"help": "a Hugging Face model: a folder or a name"},
    "docs": {"type": int, "help": "number of docs"},
    "batch_size": {"type": int, "help": "docs in a batch"},
    "batch_sizes": {"type": int, "nargs": "+", "help": "docs in a batch of prediction, several to try"},
    "batches": {"type": int, "nargs": "+", "help": "docs in a batch of training, several to try"},
    "rounds": {"type": int, "help": "number of times that each takes its turn"},
    "threads": {"type": int, "nargs": "+", "help": "numbers of threads to try"},
    "steps": {"type": int, "help": "steps of training before the measurement"},
    "gpu_id": {"type": int, "help": "number of the GPU, -1 for the CPU"},
    "boundary": {"choices": ["padded", "zero"], "help": "what the encoder reads beyond the ends of a doc"},
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
