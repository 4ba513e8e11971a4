"""A folder of saved states, in which there is always a complete one once there was one, whenever the process is killed.

Each saving writes a subfolder of its own, "state-000002.part", which loses the ".part" when all of it is on the disk.
Only then is the one before deleted, after it got the ".part" back.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = re.compile(r"state-(\d+)(\.part)?")


def newest_state(folder: Path) -> Path | None:
    """The subfolder of the last saving that was completed, or None."""
    complete = [path for path in _subfolders(folder) if not path.suffix]
    return max(complete, key=_number, default=None)


def add_state(folder: Path, write: Callable[[Path], None]) -> None:
    """Save a state, then delete older ones and what stopped savings have left. Anything else in the folder stays.

    folder (Path): Is made if it is not there. May be a symbolic link.
    write (Callable[[Path], None]): Writes the state into an empty folder.
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
    """Delete a state. If that is interrupted, what is left does not count as one."""
    part = path.with_suffix(".part")
    path.rename(part)
    shutil.rmtree(part)


def _flush(folder: Path) -> None:
    """Have the system write to the disk all that is in the folder."""
    for path in folder.rglob("*"):
        _flush_entry(path)
    _flush_entry(folder)


def _flush_entry(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk. Windows does the latter by itself."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
