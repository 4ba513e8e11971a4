"""Options of registered functions as they stand on a command line: `condition_on=intent,scheme=BILUO`."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import srsly


def read_value(text: str) -> Any:
    """Read a value as in a config. What is no JSON is a string, and `[a, b]` a list of strings."""
    try:
        return srsly.json_loads(text)
    except ValueError:
        inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        return [read_value(part.strip()) for part in split_outside(inner[1:-1], ",")]
    return inner


def read_options(text: str, owner: str) -> dict[str, Any]:
    """Read options that are separated by commas.

    owner (str): What they are given to, for messages.
    """
    options: dict[str, Any] = {}
    for part in split_outside(text, ","):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"{owner}: {part!r} is no option; expected NAME=VALUE, as in condition_on=intent")
        options[name.strip()] = read_value(value.strip())
    return options


def split_outside(text: str, sign: str) -> list[str]:
    """Split at a sign that stands in no brackets and no quotation marks."""
    parts = re.findall(rf"(?:\[[^\]]*\]|\{{[^}}]*\}}|\"[^\"]*\"|[^{re.escape(sign)}])+", text)
    return [part for part in parts if part.strip()]


def check_options(maker: Callable[..., Any], options: Iterable[str], owner: str) -> None:
    """Raise a ValueError for an option that a registered function does not have."""
    known = list(inspect.signature(maker).parameters)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f"{owner}: there is no option {unknown[0]!r}; its options are {', '.join(known)}")


def find_registered(functions: Mapping[str, Any], short: str, owner: str) -> str:
    """Find a registered function by its name without package and version: "Uniform" is `spacy_mtl.Uniform.v1`."""
    names = {short_name(name): name for name in sorted(functions)}
    if short in functions:
        return short
    if short not in names:
        raise ValueError(f"{owner}: there is no {short!r}; choose from {', '.join(names)}")
    return names[short]


def short_name(name: str) -> str:
    """The name without the package before it and the version after it."""
    return re.sub(r"^\w+\.|\.v\d+$", "", name)
