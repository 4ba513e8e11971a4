"""Mappings in a config whose keys may hold "=".

confection writes a dict as a section with a line `key = value` for each item, even when it only interpolates. It splits
each line at its first "=", so that a dict with the key "genre=email" comes back wrong:

    {"genre=email": 1.0}  ->  genre=email = 1.0  ->  {"genre": "email = 1.0"}

Lists survive, so that a list of pairs can stand for a dict.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import srsly

SPLIT_KEY = re.compile(r"(?P<rest>.+?) = (?P<value>.+)", re.DOTALL)


def read_mapping(setting: Any, name: str) -> dict[str, Any]:
    """A dict, from a dict or from a list of pairs such as `[["genre=email", 1.0]]`.

    name (str): The setting, for messages.
    RAISES ValueError: It is neither, or a dict whose keys confection has split at "=".
    """
    if isinstance(setting, Mapping):
        for key, value in setting.items():
            _refuse_split_key(key, value, name)
        return dict(setting)
    if isinstance(setting, Sequence) and all(_is_pair(item) for item in setting):
        return dict(setting)
    raise ValueError(f'{name} is {setting!r}; expected a dict, or a list of pairs such as [["key", value]]')


def _refuse_split_key(key: str, value: Any, name: str) -> None:
    match = SPLIT_KEY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return
    try:
        meant = srsly.json_loads(match["value"])
    except ValueError:
        return
    pair = srsly.json_dumps([[f"{key}={match['rest']}", meant]])
    raise ValueError(f"{name} has {key!r} = {value!r}: a config file splits keys at '='. Write a list of pairs: {pair}")


def _is_pair(item: Any) -> bool:
    return isinstance(item, Sequence) and len(item) == 2 and isinstance(item[0], str)
