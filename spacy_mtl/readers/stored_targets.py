"""A folder with what a teacher says of a corpus: a description, and shards that are read when they are needed."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..protocols.soft_targets import SoftTarget
from .target_shard import TargetForm, key_of, read_keys, read_targets

# The description of a pass, and what its last step writes.
PASS, DONE = "pass.json", "done.json"
# Shards that are held in memory at once.
N_HELD = 64


class StoredTargets:
    """The soft targets of the docs that a teacher has seen. Raises a ValueError if the folder is not complete."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        for name in (PASS, DONE):
            if not (self.path / name).is_file():
                raise ValueError(
                    f"{self.path} is no complete pass of a teacher, as it has no {name}; run spacy mtl distil again"
                )
        heads: dict[str, Any] = json.loads((self.path / DONE).read_text(encoding="utf8"))["heads"]
        self.heads = list(heads)
        self._forms = {
            number: TargetForm(found["kind"], tuple(found["labels"]), found["temperature"])
            for number, found in enumerate(heads.values())
            if found["kind"] is not None
        }
        self._shards = shards_in(self.path)
        self._places = {
            key: (shard, row) for shard, path in enumerate(self._shards) for row, key in enumerate(read_keys(path))
        }
        self._load = lru_cache(maxsize=N_HELD)(self._read)

    def knows(self, doc: Doc) -> bool:
        """Whether the teacher has seen a doc with these words."""
        return key_of(doc) in self._places

    def of(self, doc: Doc) -> dict[str, SoftTarget]:
        """The targets of the doc with these words, by head; empty for words that the teacher has not seen."""
        place = self._places.get(key_of(doc))
        if place is None:
            return {}
        shard, row = place
        found = {self.heads[number]: targets[row] for number, targets in self._load(shard).items()}
        return {head: target for head, target in found.items() if target is not None}

    def _read(self, shard: int) -> dict[int, list[SoftTarget | None]]:
        return read_targets(self._shards[shard], self._forms)


def shards_in(folder: Path) -> list[Path]:
    """The shards of a pass, in their order."""
    return sorted(folder.glob("[0-9]*.npz"))
