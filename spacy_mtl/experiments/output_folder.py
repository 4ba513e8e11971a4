"""A folder of results that one process at a time may write to, and that no user's files are in."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds to wait for processes of an earlier start to end.
PATIENCE = 30.0


@contextmanager
def claim(folder: Path, marker: str) -> Iterator[tuple[int, ...]]:
    """Make the folder if it is new, and hold it.

    marker (str): Name of the file that tells that a folder is one of these. It is locked as long as this process or a
        child that inherits the lock is alive, so that a new start never meets the children of one that was killed.
    RETURNS (tuple[int, ...]): File descriptors that children must inherit.
    RAISES ValueError: The folder has other contents, or another process holds it.
    """
    check_output(folder, marker)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / marker, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(descriptor, folder)
        yield (descriptor,) if fcntl is not None else ()
    finally:
        os.close(descriptor)


def check_output(folder: Path, marker: str) -> None:
    """Raise a ValueError if the folder is not new, not empty, and was not made by an earlier start."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).exists():
        raise ValueError(
            f"{folder} holds files that are not results of this command (it has no {marker}), and is left as it is; "
            "name a new or empty folder"
        )


def lock(descriptor: int, folder: Path) -> None:
    """Wait for the lock. Raises a ValueError if another process keeps it."""
    if fcntl is None:
        return
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() > end:
                raise ValueError(
                    f"{folder}: another process is working in this folder; wait for it or name another folder"
                ) from None
            time.sleep(0.1)
