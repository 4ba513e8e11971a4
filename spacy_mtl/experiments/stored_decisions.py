"""What each head decided on a split, as arrays: labels, confusions and errors are counted without reading a doc."""

from collections.abc import Mapping
from pathlib import Path

from ..arrays_file import from_bytes, load_arrays, save_arrays, to_bytes
from ..protocols.decisions import Decisions

COLUMNS = ("docs", "starts", "ends", "gold", "predicted")


def save_decisions(folder: Path, split: str, decisions: Mapping[str, Decisions]) -> None:
    """Write the decisions of each head to `decisions-SPLIT.npz` in the folder of a run."""
    arrays = {f"{head}/{name}": getattr(found, name) for head, found in decisions.items() for name in COLUMNS}
    arrays |= {f"{head}/arguments": found.arguments for head, found in decisions.items() if found.arguments is not None}
    about = {f"{head}/about": to_bytes([found.unit, found.names]) for head, found in decisions.items()}
    save_arrays(decisions_path(folder, split), arrays | about)


def load_decisions(folder: Path, split: str, head: str) -> Decisions | None:
    """Read the decisions of one head; None if there are none."""
    path = decisions_path(folder, split)
    arrays = load_arrays(path, f"{head}/") if path.exists() else {}
    if not arrays:
        return None
    unit, names = from_bytes(arrays["about"])
    columns = {name: arrays[name].astype("int64") for name in COLUMNS}
    arguments = arrays["arguments"].astype("int64") if "arguments" in arrays else None
    return Decisions(unit, names=tuple(names), arguments=arguments, **columns)


def decisions_path(folder: Path, split: str) -> Path:
    """The file that holds them."""
    return folder / f"decisions-{split}.npz"
