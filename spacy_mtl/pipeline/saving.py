"""Saving by name: the encoder, the weighting and each head in a file of its own.

    multitask/
        cfg
        readout        what was measured in training
        encoder
        heads/intent
        heads/slots
        weighting      only if it has parameters or a state

A head can so be left out, or be taken from another pipeline, without touching the others.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import srsly
from spacy.util import logger
from thinc.api import Model

from ..protocols.arrays import EncoderT
from ..protocols.head import Head
from ..protocols.head_calibration import drop_calibration
from ..protocols.weighting import KeepsState, LearnsByHead, Weighting

ENCODER, HEADS, WEIGHTING = "encoder", "heads", "weighting"
# what files of spacy-mtl before parts were saved by name hold
WHOLE = "model"


class Parts:
    """The parts that a component saves, by their path in the component's folder."""

    def __init__(self, name: str, encoder: EncoderT, heads: Mapping[str, Head], weighting: Weighting) -> None:
        self.name = name
        self.models: dict[str, Model[Any, Any]] = {ENCODER: encoder}
        self.names = list(heads)
        self.models |= {head_path(key): head.model for key, head in heads.items()}
        self.weighting = weighting

    def write(self, others: Mapping[str, Callable[[], bytes]], *, exclude: Iterable[str]) -> dict[str, bytes]:
        """What is to be saved, by path.

        others (Mapping[str, Callable[[], bytes]]): What else the component saves.
        exclude (Iterable[str]): Paths to leave out; "heads" for all heads, "model" for all parts.
        """
        contents: dict[str, Callable[[], bytes]] = {path: model.to_bytes for path, model in self.models.items()}
        if self.weighting.model is not None or isinstance(self.weighting, KeepsState):
            contents[WEIGHTING] = self._weighting_to_bytes
        written = {path: get() for path, get in contents.items() if not is_excluded(path, exclude)}
        return {path: get() for path, get in others.items() if path not in exclude} | written

    def read(self, contents: Mapping[str, Callable[[], bytes]], *, exclude: Iterable[str]) -> None:
        """Load every part.

        contents (Mapping[str, Callable[[], bytes]]): Functions that return what was saved, by path.
        exclude (Iterable[str]): Paths to leave as they are; "heads" for all heads, "model" for everything.
        RAISES ValueError: A part is missing or does not fit. Parts that the component does not have are named in a
            warning.
        """
        if WHOLE in contents and ENCODER not in contents:
            raise ValueError("it was saved by a version of spacy-mtl that kept all heads in one file; train it again")
        wanted = [path for path in self.models if not is_excluded(path, exclude)]
        missing = [path for path in wanted if path not in contents]
        if missing:
            raise ValueError(f"{describe(missing)} in the config, but not saved; {self._saved(contents)}")
        extra = [path for path in contents if path.startswith(f"{HEADS}/") and path not in self.models]
        if extra and not is_excluded(HEADS, exclude):
            logger.warning("component '%s': %s saved, but not in the config; not loaded", self.name, describe(extra))
        for path in wanted:
            drop_calibration(self.models[path])
            try:
                self.models[path].from_bytes(contents[path]())
            except Exception as error:
                raise ValueError(f"{describe([path])} saved in another form than the config's: {error}") from error
        self._name_new_heads()
        if not is_excluded(WEIGHTING, exclude):
            self._read_weighting(contents)

    def _name_new_heads(self) -> None:
        """Name the heads that are not saved in the sharing layer, where their parts are as initialised. Parts of heads
        that are saved, but are no longer in the config, are kept: what the other heads see can depend on them.
        """
        sharing = self.models[ENCODER].maybe_get_ref("sharing")
        if sharing is not None:
            saved = sharing.attrs["heads"]
            sharing.attrs["heads"] = [*saved, *(name for name in self.names if name not in saved)]

    def _saved(self, contents: Mapping[str, Any]) -> str:
        names = [unquote(path.split("/", 1)[1]) for path in contents if path.startswith(f"{HEADS}/")]
        return f"the heads that are saved are {sorted(names)}"

    def _weighting_to_bytes(self) -> bytes:
        model, state = self.weighting.model, None
        if isinstance(self.weighting, KeepsState):
            state = self.weighting.get_state()
        saved: dict[str, Any] = {"model": None, "state": state}
        if isinstance(self.weighting, LearnsByHead):
            saved["layers"] = {head: layer.to_bytes() for head, layer in self.weighting.layers.items()}
        elif model is not None:
            saved["model"] = model.to_bytes()
        return bytes(srsly.msgpack_dumps(saved))

    def _read_weighting(self, contents: Mapping[str, Callable[[], bytes]]) -> None:
        if WEIGHTING not in contents:
            return
        saved = srsly.msgpack_loads(contents[WEIGHTING]())
        if isinstance(self.weighting, LearnsByHead):
            for head, layer in self.weighting.layers.items():
                if head in saved.get("layers", {}):
                    layer.from_bytes(saved["layers"][head])
        elif self.weighting.model is not None and saved["model"] is not None:
            self.weighting.model.from_bytes(saved["model"])
        if isinstance(self.weighting, KeepsState) and saved["state"] is not None:
            self.weighting.set_state(saved["state"])


def head_path(name: str) -> str:
    """The path of a head. Signs that a file system may refuse are quoted as in a URL."""
    return f"{HEADS}/{quote(name, safe=' ')}"


def is_excluded(path: str, exclude: Iterable[str]) -> bool:
    """Whether a part, or what it belongs to, shall not be loaded or saved."""
    return not {path, path.split("/")[0], WHOLE}.isdisjoint(exclude)


def describe(paths: Iterable[str]) -> str:
    """Parts in words, with the verb: "head 'intent' is", "heads 'intent', 'slots' are", "the encoder is"."""
    names = [repr(unquote(path.split("/", 1)[1])) for path in paths if path.startswith(f"{HEADS}/")]
    if not names:
        return "the encoder is"
    return f"head {names[0]} is" if len(names) == 1 else f"heads {', '.join(names)} are"


def files_in(folder: Path) -> dict[str, Callable[[], bytes]]:
    """What is saved in a component's folder, by path."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes for file in files}
