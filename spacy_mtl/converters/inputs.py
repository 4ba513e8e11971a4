"""Which format an input has, and which files or folders belong to it."""

from pathlib import Path

from .joint import WORDS
from .text_files import ConversionError

FORMATS = ("joint", "iob", "conllu", "table")
SUFFIXES = {
    ".iob": "iob",
    ".iob2": "iob",
    ".bio": "iob",
    ".conll": "iob",
    ".conllu": "conllu",
    ".csv": "table",
    ".tsv": "table",
    ".jsonl": "table",
}

# What releases call the split that configs call dev.
DEV_NAMES = ("devel", "development", "val", "valid", "validation")


def guess_format(path: Path) -> str:
    """The format of a file by its suffix, of a folder by what lies in it.

    path (Path): File or folder.
    RETURNS (str): One of `FORMATS`.
    RAISES ConversionError: No format fits, or more than one.
    """
    found = _formats_in(path) if path.is_dir() else {SUFFIXES[path.suffix]} if path.suffix in SUFFIXES else set()
    if len(found) == 1:
        return found.pop()
    fits = f"both {' and '.join(sorted(found))} fit" if found else "no format fits"
    raise ConversionError(path, f"cannot guess the format: {fits}. Give one of {', '.join(FORMATS)}")


def find_inputs(path: Path, format: str) -> dict[str, Path]:
    """The inputs that are converted together, by the name that their output gets.

    path (Path): A file; for `joint` a folder with `seq.in`; or a folder of such files or folders.
    format (str): One of `FORMATS`.
    RETURNS (dict[str, Path]): Inputs by name: a file name without its suffix, a folder name; "dev"
        for `DEV_NAMES`.
    RAISES ConversionError: There is no input, or two have one name.
    """
    inputs = _list_inputs(path, format)
    if not inputs:
        expected = f"folders with {WORDS}" if format == "joint" else f"files with the suffix {_suffixes(format)}"
        expected += " or .txt" if format == "iob" else ""
        raise ConversionError(path, f"nothing to convert: expected {expected}")
    by_name: dict[str, Path] = {}
    for file in inputs:
        name = file.name if file.is_dir() else file.stem
        name = "dev" if name.lower() in DEV_NAMES else name
        if name in by_name:
            raise ConversionError(path, f"{by_name[name].name} and {file.name} would both become {name}.spacy")
        by_name[name] = file
    return by_name


def _list_inputs(path: Path, format: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    if format == "joint":
        return [path] if (path / WORDS).exists() else sorted(file.parent for file in path.glob(f"*/{WORDS}"))
    files = sorted(file for file in path.iterdir() if file.is_file())
    known = [file for file in files if SUFFIXES.get(file.suffix) == format]
    return known or [file for file in files if format == "iob" and file.suffix == ".txt"]


def _formats_in(folder: Path) -> set[str]:
    found = {SUFFIXES[file.suffix] for file in folder.iterdir() if file.suffix in SUFFIXES}
    if _list_inputs(folder, "joint"):
        found.add("joint")
    return found


def _suffixes(format: str) -> str:
    return ", ".join(suffix for suffix, name in SUFFIXES.items() if name == format)
