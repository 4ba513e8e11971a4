"""Write a pipeline to a folder, all of it or nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

# Files by which a folder is known as a saved pipeline.
PIPELINE_FILES = ("meta.json", "config.cfg")


class SavedToFolder(Protocol):
    """What can be saved to a folder, such as a pipeline."""

    def to_disk(self, path: Path) -> Any:
        """Write to a folder that exists."""


def check_writable(output: Path, *, replace: bool | None = None) -> None:
    """Raise a ValueError if writing a pipeline there would destroy something.

    replace (bool | None): Allow a folder that holds a saved pipeline, which will be replaced as a whole. None if the
        caller has no --force to ask for that.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file; name a folder")
    if not output.exists() or not any(output.iterdir()):
        return
    if not all((output / file).is_file() for file in PIPELINE_FILES):
        raise ValueError(f"{output} is not empty and holds no pipeline, so it is left as it is; name another folder")
    if replace is None:
        raise ValueError(f"{output} is not empty; remove it, or name another folder")
    if not replace:
        raise ValueError(f"{output} is not empty; remove it, name another folder, or replace the pipeline with --force")


def write_whole(nlp: SavedToFolder, output: Path) -> None:
    """Write a pipeline, or what holds one, to a folder next to `output`, and rename that folder once it is complete. A
    pipeline that was in `output` is there until then.
    """
    fill_whole(nlp.to_disk, output)


def copy_whole(source: Path, output: Path) -> None:
    """Copy a pipeline's folder, as `write_whole` writes one."""
    fill_whole(lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True), output)


def fill_whole(fill: Callable[[Path], object], output: Path) -> None:
    """Have a folder next to `output` filled, and rename it once it is complete."""
    output = output.resolve()
    temporary, old = (output.with_name(f".{output.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old"))
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        if output.exists():
            output.rename(old)
        temporary.rename(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not output.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
