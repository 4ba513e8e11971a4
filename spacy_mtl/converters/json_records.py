"""JSON objects one after the other: one a line, or in a list."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .text_files import ConversionError, read_lines, read_text

SURROGATE = re.compile("[\ud800-\udfff]")
BETWEEN = re.compile(r"[\s,]*")

RecordT = tuple[int, dict[str, Any]]  # line, values by key


def read_records(path: Path, *, encoding: str = "utf-8") -> Iterator[RecordT]:
    """The objects of a file, which is a list of them if it begins with `[`, else has one a line.

    path (Path): The file.
    encoding (str): The encoding that the file has.
    YIELDS (tuple[int, dict[str, Any]]): The line at which the object begins, and its values by key.
    RAISES ConversionError: JSON is broken, or a value is no object.
    """
    text = read_text(path, encoding=encoding)
    return _read_list(path, text) if text.lstrip().startswith("[") else read_json_lines(path, encoding=encoding)


def read_json_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[RecordT]:
    """The objects of a file that has one a line. Blank lines are skipped. For the rest see `read_records`."""
    for line, text in enumerate(read_lines(path, encoding=encoding), start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError as e:
            raise ConversionError(path, f"broken JSON at character {e.pos + 1}: {e.msg}", line) from e
        yield line, _check(value, text, path=path, line=line)


def _read_list(path: Path, text: str) -> Iterator[RecordT]:
    """The objects of a list, decoded one by one so that each has a line."""
    decoder = json.JSONDecoder()
    place, counted, line = text.index("[") + 1, 0, 1
    while True:
        start = _skip(text, place)
        line, counted = line + text.count("\n", counted, start), start
        if text.startswith("]", start):
            return
        try:
            value, place = decoder.raw_decode(text, start)
        except json.JSONDecodeError as e:
            raise ConversionError(path, f"broken JSON at column {e.colno}: {e.msg}", e.lineno) from e
        yield line, _check(value, text[start:place], path=path, line=line)


def _skip(text: str, place: int) -> int:
    match = BETWEEN.match(text, place)
    return place if match is None else match.end()


def _check(value: object, text: str, *, path: Path, line: int) -> dict[str, Any]:
    if "\\u" in text and SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise ConversionError(path, "an escape is half of a surrogate pair, which is no character", line)
    if not isinstance(value, dict):
        raise ConversionError(path, f"expected a JSON object, found {type(value).__name__}", line)
    return value
