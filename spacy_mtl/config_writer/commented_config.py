"""Configs with comments: read from templates, laid over one another, and written as text."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from spacy.util import load_config_from_str
from thinc.api import Config

SECTION, KEY = re.compile(r"\[(.+)\]"), re.compile(r"([^\s=]+) =")
WIDTH = 118


@dataclass
class CommentedConfig:
    """A config, and comments by the dotted names of sections and settings."""

    config: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def add(self, other: "CommentedConfig") -> None:
        """Lay another config over this one."""
        self.config = overlay(self.config, other.config)
        self.comments |= other.comments

    def comment(self, name: str, text: str) -> None:
        """Add to the comment of a section or setting."""
        self.comments[name] = f"{self.comments[name]} {text}" if name in self.comments else text

    def set(self, name: str, value: Any) -> None:
        """Set a value by its dotted name. Sections on the way are made."""
        *path, last = name.split(".")
        section = self.config
        for part in path:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise ValueError(f"{name}: {part!r} is {section!r}, which is a value and not a section")
        section[last] = value


def read_template(name: str) -> CommentedConfig:
    """Read a template of this package."""
    return from_text(_folder().joinpath(f"{name}.cfg").read_text(encoding="utf8"))


def has_template(name: str) -> bool:
    """Check whether there is a template of this name."""
    return _folder().joinpath(f"{name}.cfg").is_file()


def _folder() -> Any:
    return resources.files(__package__) / "templates"


def from_text(text: str) -> CommentedConfig:
    """Read a config. Lines that begin with "#" are the comment of what follows them. Sections above others may be left
    out.
    """
    comments, lines = {}, []
    for name, line, comment in _named_lines(text.splitlines()):
        if comment:
            comments[name] = " ".join(comment)
        lines.append(line)
    names = re.findall(r"^\[(.+)\]$", text, re.MULTILINE)
    above = {".".join(name.split(".")[:size]) for name in names for size in range(1, name.count(".") + 1)} - set(names)
    whole = "".join(f"[{name}]\n" for name in sorted(above)) + "\n".join(lines)
    return CommentedConfig(dict(load_config_from_str(whole)), comments)


def _named_lines(lines: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each line that is no comment, with the dotted name of what it begins, and the comment before it."""
    section, comment = "", list[str]()
    for line in lines:
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        begins_section, begins_key = SECTION.fullmatch(line), KEY.match(line)
        if begins_section:
            section = begins_section[1]
        name = section if begins_section else f"{section}.{begins_key[1]}" if begins_key else ""
        yield name, line, comment if name else []
        comment = [] if name else comment


def overlay(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The config with other values, in its own order. A section that names another function replaces the old one."""
    result = dict(config)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and _same_function(old, value):
            result[key] = overlay(old, value)
        else:
            result[key] = value
    return result


def _same_function(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(old.get(key) == value for key, value in new.items() if key.startswith("@"))


def as_text(config: Config, comments: Mapping[str, str], header: Sequence[str]) -> str:
    """Write a config with comments. Comments on what the config does not have are left out."""
    lines = [f"# {line}" for line in header]
    for name, line, _ in _named_lines(config.to_str(interpolate=False).splitlines()):
        lines += [f"# {text}" for text in wrapped(comments[name])] if name in comments else []
        lines.append(line)
    return "\n".join(lines).rstrip() + "\n"


def wrapped(text: str) -> list[str]:
    """A text in lines that fit behind the sign of a comment."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
