"""Digests of the files that a config names."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Sections without files that a training reads, and settings that are never paths.
SKIPPED = frozenset({"paths", "nlp", "system", "factory"})
CHUNK = 2**20


def digest_data(config: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each existing file or folder that a setting names, by its path as the config has it."""
    return {path: digest(Path(path)) for path in sorted(set(paths_in(config)))}


def paths_in(value: Any) -> Iterator[str]:
    """The settings that name an existing file or folder."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key not in SKIPPED and not str(key).startswith("@"):
                yield from paths_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from paths_in(part)
    elif isinstance(value, str | Path) and is_path(str(value)):
        yield str(value)


def is_path(text: str) -> bool:
    """Whether there is a file or folder of this name. Patterns and other long texts are none."""
    try:
        return bool(text.strip(". ")) and Path(text).exists()
    except (OSError, ValueError):
        return False


def digest(path: Path) -> str:
    """The SHA-256 of a file, or of the names and contents of all files in a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        if path.is_dir():
            total.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK):
                total.update(chunk)
    return total.hexdigest()


def with_digests(value: Any, digests: Mapping[str, str]) -> Any:
    """The value with the digest of its contents in the place of each path: the same files elsewhere are the same."""
    if isinstance(value, Mapping):
        return {str(key): with_digests(part, digests) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [with_digests(part, digests) for part in value]
    return digests.get(str(value), value) if isinstance(value, str | Path) else value
