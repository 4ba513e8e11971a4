"""A teacher's pass over texts: written shard by shard, so that an interrupted one goes on where it stopped."""

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..experiments.run_folder import write_json
from ..readers.stored_targets import DONE, PASS, shards_in
from ..readers.target_shard import Answers, write_shard
from .teacher_pipeline import BATCH_SIZE, Teacher

SHARD_SIZE = 1024
FORMAT = 1
DocsT = Callable[[], Iterable[Doc]]


@dataclass(frozen=True)
class Texts:
    """Texts for the teachers.

    name (str): "gold", "raw" or "augmented".
    read (Callable[[], Iterable[Doc]]): Reads them, always the same ones in the same order.
    digest (str): SHA-256 of their words.
    n_docs (int): Their number.
    """

    name: str
    read: DocsT
    digest: str
    n_docs: int

    @classmethod
    def of(cls, name: str, read: DocsT) -> "Texts":
        """Read the texts once."""
        total, n_docs = hashlib.sha256(), 0
        for doc in tqdm(read(), desc=f"reading {name} texts", unit=" texts", disable=None):
            n_docs += 1
            total.update("".join(f"{token.text}\0{token.whitespace_}\0" for token in doc).encode() + b"\n")
        return cls(name, read, total.hexdigest(), n_docs)


@dataclass(frozen=True)
class PassKey:
    """All that determines the answers.

    teacher (str): SHA-256 of the teacher's files. texts (str): That of the texts.
    sources (dict[str, str]): The teacher's head or pipe for each head of the student; empty for that of its name.
    """

    teacher: str
    texts: str
    sources: dict[str, str]
    temperature: float
    top: int
    format: int = FORMAT

    @property
    def short(self) -> str:
        """A short name that tells it from others."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


class TeacherPass:
    """The folder of a pass.

    path (Path): The folder. key (PassKey): What determines its contents.
    """

    def __init__(self, cache: Path, texts: Texts, key: PassKey) -> None:
        """cache (Path): The folder of all passes."""
        self.cache = cache
        self.texts = texts
        self.key = key
        self.stem = "-".join([*sorted(key.sources), texts.name])
        self.path = cache / f"{self.stem}-{key.short}"

    @property
    def is_done(self) -> bool:
        """Whether the teacher has answered to all texts."""
        return (self.path / DONE).is_file()

    def result(self) -> dict[str, Any]:
        """What the last step has written: the heads in the order of the shards' arrays, and what was dropped."""
        found: dict[str, Any] = json.loads((self.path / DONE).read_text(encoding="utf8"))
        return found

    def outdated(self) -> dict[str, list[str]]:
        """Folders of passes for the same heads that can't be used, each with what has changed since."""
        found: dict[str, list[str]] = {}
        for other in sorted(self.cache.glob(f"{self.stem}-*")):
            if other != self.path and (other / PASS).is_file():
                old = json.loads((other / PASS).read_text(encoding="utf8"))
                mine = json.loads(json.dumps(asdict(self.key)))
                found[other.name] = [name for name, value in mine.items() if old.get(name) != value]
        return found

    def run(self, teacher: Teacher, student: Language) -> None:
        """Let the teacher answer to all texts that no shard has yet. Memory holds one shard.

        RAISES OSError: A shard can't be written. Those before it stay, and the next start goes on after them.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for temporary in self.path.glob(".*.tmp"):
            temporary.unlink()
        try:
            write_json(self.path / PASS, asdict(self.key))
            dropped = self._write_shards(teacher, student)
            write_json(self.path / DONE, self._description(teacher, dropped))
        except OSError as error:
            for temporary in self.path.glob(".*.tmp"):
                with suppress(OSError):
                    temporary.unlink()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            kept = len(shards_in(self.path)) * SHARD_SIZE
            raise OSError(
                error.errno,
                f"{self.path} can't be written ({error.strerror}). The answers to {kept} of {self.texts.n_docs} texts "
                "are kept; make room, and give the same command again",
            ) from error

    def _write_shards(self, teacher: Teacher, student: Language) -> Counter[str]:
        dropped: Counter[str] = Counter()
        bar = tqdm(total=self.texts.n_docs, desc=f"{self.stem}: {teacher.path}", unit=" texts", disable=None)
        for number, docs in enumerate(in_shards(self.texts.read())):
            path = self.path / f"{number:06d}.npz"
            counts = path.with_suffix(".json")
            if not path.exists() or not counts.exists():
                answers, lost = answer_all(teacher, docs, student)
                write_json(counts, lost)
                write_shard(path, docs, [answers[head] for head in teacher.heads])
            dropped.update(json.loads(counts.read_text(encoding="utf8")))
            bar.update(len(docs))
        bar.close()
        return dropped

    def _description(self, teacher: Teacher, dropped: Counter[str]) -> dict[str, Any]:
        heads: dict[str, Any] = {}
        for head in teacher.heads:
            form = teacher.forms[head]
            described: dict[str, Any] = {"kind": None} if form is None else asdict(form)
            heads[head] = described | {"dropped": dropped[head], "own_labels": teacher.labels(head)}
        return {"heads": heads, "n_docs": self.texts.n_docs}


def in_shards(docs: Iterable[Doc]) -> Iterator[list[Doc]]:
    """Cut a stream of docs in pieces."""
    stream = iter(docs)
    while shard := list(islice(stream, SHARD_SIZE)):
        yield shard


def answer_all(teacher: Teacher, docs: list[Doc], student: Language) -> tuple[dict[str, Answers], Counter[str]]:
    """Let the teacher answer to docs, some at a time."""
    parts: list[dict[str, Answers]] = []
    dropped: Counter[str] = Counter()
    for start in range(0, len(docs), BATCH_SIZE):
        found, lost = teacher.answer(docs[start : start + BATCH_SIZE], student)
        parts.append(found)
        dropped.update(lost)
    whole = {
        head: Answers(
            [doc for part in parts for doc in part[head].docs],
            np.concatenate([part[head].confidences for part in parts]),
            [target for part in parts for target in part[head].targets],
        )
        for head in teacher.heads
    }
    return whole, dropped
