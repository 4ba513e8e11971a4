"""The fields of a JSON object, checked: an error names the file, the line and what was expected."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .text_files import ConversionError

NAMES = {str: "a text", int: "a whole number", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Place:
    """Where in an input something was found.

    path (Path): The file.
    line (int): The line at which the object begins.
    what (str): The object in words, such as "relation 3".
    """

    path: Path
    line: int
    what: str = ""

    def of(self, what: str) -> "Place":
        """The same place, for a part of the object."""
        return Place(self.path, self.line, what)

    def error(self, message: str) -> ConversionError:
        """The error to raise."""
        return ConversionError(self.path, f"{self.what}: {message}" if self.what else message, self.line)


def field(record: Mapping[str, Any], key: str, kind: type, place: Place) -> Any:
    """The value of a key. RAISES ConversionError: It is missing, or of another type."""
    if key not in record:
        raise place.error(f"expected the key {key!r}, found {', '.join(map(repr, record)) or 'none'}")
    value = record[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise place.error(f"{key!r} is {value!r}, expected {NAMES[kind]}")
    return value


def objects(record: Mapping[str, Any], key: str, place: Place) -> list[dict[str, Any]]:
    """The list of objects under a key. RAISES ConversionError: It is missing, or something else."""
    values: list[dict[str, Any]] = field(record, key, list, place)
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise place.of(f"{key}[{number}]").error(f"it is {value!r}, expected an object")
    return values


def words_of(record: Mapping[str, Any], key: str, place: Place) -> list[str]:
    """The list of words under a key. RAISES ConversionError: It is missing or empty, or has something else."""
    words = field(record, key, list, place)
    wrong = [word for word in words if not isinstance(word, str) or not word]
    if wrong or not words:
        raise place.error(f"{key!r} has {wrong[0]!r}, expected words" if wrong else f"{key!r} is empty, expected words")
    return list(words)
