"""The options of the speed benchmarks: each is defined here once, and a script names those that it has."""

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # what both folders use

from option_parser import DATA, REQUIRED, ROOT, parser_maker

__all__ = ["DATA", "REQUIRED", "ROOT", "make_parser"]
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
    "steps": {"type": int, "help": "steps of training"},
    "gpu_id": {"type": int, "help": "number of the GPU, -1 for the CPU"},
    "boundary": {"choices": ["padded", "zero"], "help": "what the encoder reads beyond the ends of a doc"},
}

make_parser = parser_maker(OPTIONS)
