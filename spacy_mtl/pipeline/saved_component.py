"""Saving and loading a component: its `cfg`, its vocab, the read-out and all parts that `saving` describes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import srsly
from spacy.vocab import Vocab

from .balance_readout import BalanceReadout
from .saving import Parts, files_in

CFG, VOCAB, READOUT = "cfg", "vocab", "readout"


@dataclass
class SavedComponent:
    """What a component saves. All of it is loaded in place.

    parts (Parts): The networks.
    cfg (dict[str, Any]): The component's `cfg`.
    vocab (Vocab): The shared vocabulary.
    readout (BalanceReadout): What was measured in training.
    """

    parts: Parts
    cfg: dict[str, Any]
    vocab: Vocab
    readout: BalanceReadout

    def to_bytes(self, exclude: Sequence[str]) -> bytes:
        """Serialize everything but what is excluded."""
        contents = {
            CFG: lambda: srsly.json_dumps(self.cfg).encode(),
            VOCAB: lambda: self.vocab.to_bytes(exclude=exclude),
            READOUT: self.readout.to_bytes,
        }
        return bytes(srsly.msgpack_dumps(self.parts.write(contents, exclude=exclude)))

    def from_bytes(self, data: bytes, exclude: Sequence[str]) -> None:
        """Load what `to_bytes` returned. Raise a ValueError if a head is missing or does not fit."""
        saved = srsly.msgpack_loads(data)
        if VOCAB in saved and VOCAB not in exclude:
            self.vocab.from_bytes(saved[VOCAB], exclude=exclude)
        self._read({path: partial(saved.get, path) for path in saved}, exclude)

    def to_disk(self, folder: Path, exclude: Sequence[str]) -> None:
        """Save everything but what is excluded, each part in a file of its own."""
        contents = {CFG: lambda: srsly.json_dumps(self.cfg, indent=2).encode(), READOUT: self.readout.to_bytes}
        for name, data in self.parts.write(contents, exclude=exclude).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if VOCAB not in exclude:
            self.vocab.to_disk(folder / VOCAB, exclude=exclude)

    def from_disk(self, folder: Path, exclude: Sequence[str]) -> None:
        """Load from a folder. Raise a ValueError that names the folder if a file is missing or broken."""
        try:
            if not folder.is_dir():
                raise ValueError("there is no such folder")
            if VOCAB not in exclude:
                self.vocab.from_disk(folder / VOCAB, exclude=exclude)
            self._read(files_in(folder), exclude)
        except Exception as error:
            raise ValueError(
                f"component {self.parts.name!r}: can't load {folder}: {error}. The folder is incomplete, or was saved "
                "by a component with other heads; save it again, or copy all of it"
            ) from error

    def _read(self, contents: Mapping[str, Callable[[], bytes]], exclude: Sequence[str]) -> None:
        self.parts.read(contents, exclude=exclude)
        if CFG in contents and CFG not in exclude:
            self.cfg.update(srsly.json_loads(contents[CFG]().decode()))
        if READOUT in contents and READOUT not in exclude:
            self.readout.from_bytes(contents[READOUT]())
