"""There is a complete state whenever a save is killed: it is killed before each of its file operations, one by one."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from spacy_mtl.training.state_folder import add_state, newest_state

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def save(folder: Path, content: str) -> None:
    """Save a state of files and folders, all with this content."""

    def write(new: Path) -> None:
        (new / "component").mkdir()
        for path in (new / "component" / "model", new / "component" / "cfg", new / "optimizer"):
            path.write_text(content)

    add_state(folder, write)


def read(folder: Path) -> str | None:
    """The content of the newest state, which must be complete; None if there is no state."""
    state = newest_state(folder)
    if state is None:
        return None
    contents = {(state / name).read_text() for name in ("component/model", "component/cfg", "optimizer")}
    assert len(contents) == 1
    return contents.pop()


def die_before(number: int, action: Callable[[], None]) -> bool:
    """Run in another process, which kills itself before its n-th operation on files. RETURNS: whether it came to it."""
    child = os.fork()
    if child == 0:
        left = iter(range(number, -1, -1))

        def count(event: str, args: tuple[object, ...]) -> None:
            if event in EVENTS and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@needs_fork
def test_a_state_is_complete_whenever_its_saving_is_killed(tmp_path: Path) -> None:
    """And so it is when the saving after that, which finds what the first has left, is killed too."""
    seen: list[str | None] = []
    while True:
        folder = tmp_path / str(len(seen))
        save(folder, "old")
        if not die_before(len(seen), partial(save, folder, "new")):
            break
        assert read(folder) in ("old", "new")
        seen.append(read(folder))
        die_before(len(seen), partial(save, folder, "newer"))
        assert read(folder) in (seen[-1], "newer")
        save(folder, "newest")
        assert read(folder) == "newest"
        assert len(list(folder.iterdir())) == 1
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"old", "new"}
    assert read(folder) == "new"


@needs_fork
def test_what_a_killed_first_saving_leaves_is_no_state(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    assert newest_state(folder) is None
    assert die_before(5, partial(save, folder, "new"))
    assert [path.name for path in folder.iterdir()] == ["state-000001.part"]
    assert newest_state(folder) is None
    save(folder, "new")
    assert [path.name for path in folder.iterdir()] == ["state-000002"]


def test_a_failing_saving_leaves_the_old_state(tmp_path: Path) -> None:
    save(tmp_path, "old")

    def fail(new: Path) -> None:
        (new / "half").write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        add_state(tmp_path, fail)
    assert read(tmp_path) == "old"


@pytest.mark.parametrize("exists", [True, False])
def test_the_folder_may_be_a_link(exists: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "other disk", tmp_path / "state"
    if exists:
        target.mkdir()
    link.symlink_to(target)
    save(link, "old")
    save(link, "new")
    assert link.is_symlink()
    assert read(link) == read(target) == "new"


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    names = ["state-old", "state-1.bak", "thesis.txt"]
    for name in names:
        (tmp_path / name).write_text("mine")
    for content in ("old", "new"):
        save(tmp_path, content)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "state-000002"])
