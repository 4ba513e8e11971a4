"""A folder of saved states that contains a complete state at every moment after the first save, so that the process may
be killed at any time.

Each save writes a new subfolder such as "state-000002.part" and removes the ".part" from its name once all of it is on
the disk. Only then is the older subfolder renamed to end in ".part" and deleted.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = re.compile(r"state-(\d+)(\.part)?")


def newest_state(folder: Path) -> Path | None:
    """Return the subfolder of the last complete save, or None."""
    complete = [path for path in _subfolders(folder) if not path.suffix]
    return max(complete, key=_number, default=None)


def add_state(folder: Path, write: Callable[[Path], None]) -> None:
    """Save a state, then delete older states and the remains of interrupted saves. Other files in the folder stay.

    folder (Path): The folder, which is created if it does not exist. It may be a symbolic link.
    write (Callable[[Path], None]): Function that writes the state to an empty folder.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    older = list(_subfolders(folder))
    name = f"state-{1 + max(map(_number, older), default=0):06d}"
    part = folder / f"{name}.part"
    part.mkdir()
    write(part)
    _flush(part)
    part.rename(folder / name)
    _flush_entry(folder)
    for path in older:
        _delete(path)


def _subfolders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("state-*") if NAME.fullmatch(path.name))


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("state-"))


def _delete(path: Path) -> None:
    """Delete a state. The remains do not count as a state if that is interrupted."""
    part = path.with_suffix(".part")
    path.rename(part)
    shutil.rmtree(part)


def _flush(folder: Path) -> None:
    """Flush all files and folders in a folder to the disk."""
    for path in folder.rglob("*"):
        _flush_entry(path)
    _flush_entry(folder)


def _flush_entry(path: Path) -> None:
    """Flush a file, or the list of names of a folder, to the disk. Windows does the latter by itself."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
