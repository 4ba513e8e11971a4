"""Which format an input has, and which files or folders belong to it."""

from pathlib import Path

from .brat import ANNOTATION, find_brat_folders
from .crossre import CROSSRE_KEYS
from .joint import WORDS
from .json_records import read_records
from .prodigy import PRODIGY_KEYS
from .spert import SPERT_KEYS
from .text_files import ConversionError

FORMATS = ("joint", "iob", "conllu", "table", "spert", "crossre", "prodigy", "brat")
SUFFIXES = {
    ".iob": "iob",
    ".iob2": "iob",
    ".bio": "iob",
    ".conll": "iob",
    ".conllu": "conllu",
    ".csv": "table",
    ".tsv": "table",
    ".jsonl": "table",
    ANNOTATION: "brat",
}
# The formats of JSON, which is told apart by the keys of the first object of a file.
JSON_SUFFIXES = (".json", ".jsonl")
BROKEN = "broken"
JSON_KEYS = {"spert": SPERT_KEYS, "crossre": CROSSRE_KEYS, "prodigy": PRODIGY_KEYS}
# What is one input as a folder of files.
FOLDERS = {"joint": f"folders with {WORDS}", "brat": f"folders with {ANNOTATION} files"}

# What releases call the split that configs call dev.
DEV_NAMES = ("devel", "development", "val", "valid", "validation")


def guess_format(path: Path) -> str:
    """The format of a file by its suffix, of a folder by what lies in it.

    path (Path): File or folder.
    RETURNS (str): One of `FORMATS`.
    RAISES ConversionError: No format fits, or more than one.
    """
    found = _formats_in(path) if path.is_dir() else _formats_of(path)
    if len(found) == 1:
        return found.pop()
    fits = f"both {' and '.join(sorted(found))} fit" if found else "no format fits"
    raise ConversionError(path, f"cannot guess the format: {fits}. Give one of {', '.join(FORMATS)}")


def find_inputs(path: Path, format: str) -> dict[str, Path]:
    """The inputs that are converted together, by the name that their output gets.

    path (Path): A file; for `joint` a folder with `seq.in`, for `brat` one with `.ann` files; or a folder of such files
        or folders.
    format (str): One of `FORMATS`.
    RETURNS (dict[str, Path]): Inputs by name: a file name without its suffix, a folder name; "dev"
        for `DEV_NAMES`.
    RAISES ConversionError: There is no input, or two have one name.
    """
    inputs = _list_inputs(path, format)
    if not inputs:
        expected = FOLDERS.get(format) or f"files with the suffix {_suffixes(format)}"
        if format in JSON_KEYS:
            expected += f" and the keys {', '.join(JSON_KEYS[format])}"
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
    if format == "brat":
        return find_brat_folders(path)
    files = sorted(file for file in path.iterdir() if file.is_file())
    if format in JSON_KEYS:
        # not only what is known: a broken file must be an error, and not be left out
        return [file for file in files if file.suffix in JSON_SUFFIXES and _json_format(file) in (format, BROKEN)]
    known = [file for file in files if SUFFIXES.get(file.suffix) == format]
    return known or [file for file in files if format == "iob" and file.suffix == ".txt"]


def _formats_in(folder: Path) -> set[str]:
    found = {format for file in folder.iterdir() if file.is_file() for format in _formats_of(file)}
    return found | {format for format in FOLDERS if _list_inputs(folder, format)}


def _formats_of(file: Path) -> set[str]:
    """The format of a file, if it is known."""
    by_keys = _json_format(file) if file.suffix in JSON_SUFFIXES else None
    format = by_keys if by_keys in JSON_KEYS else SUFFIXES.get(file.suffix)
    return {format} if format is not None else set()


def _json_format(file: Path) -> str | None:
    """The format of a file by the keys of its first object; `BROKEN` if there is none, None if no format has them."""
    try:
        _, first = next(read_records(file))
    except (ConversionError, StopIteration):
        return BROKEN
    return next((format for format, keys in JSON_KEYS.items() if first.keys() >= set(keys)), None)


def _suffixes(format: str) -> str:
    if format in JSON_KEYS:
        return ", ".join(JSON_SUFFIXES)
    return ", ".join(suffix for suffix, name in SUFFIXES.items() if name == format)
