"""A file with what a teacher says of some docs: arrays in an `.npz`, without pickled objects."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..arrays_file import save_arrays
from ..protocols.arrays import FloatsT
from ..protocols.soft_targets import KindT, SoftTarget, TargetsT

ArraysT = dict[str, NDArray[Any]]
# The largest and the least logit that is stored.
MOST = 60000.0


@dataclass(frozen=True)
class TargetForm:
    """What the targets of a head have in common. kind (str), labels (tuple[str, ...]), temperature (float): As those
    of `SoftTarget`.
    """

    kind: KindT
    labels: tuple[str, ...]
    temperature: float


@dataclass
class Answers:
    """What a teacher says of docs for one head.

    docs (list[Doc]): Copies of the docs that carry what the teacher predicts, as gold, and nothing else.
    confidences (NDArray): Probability of that annotation, (n_docs,), NaN where the teacher can't tell.
    targets (TargetsT): Its distributions; None where it gives none.
    """

    docs: list[Doc]
    confidences: FloatsT
    targets: TargetsT


def key_of(doc: Doc) -> int:
    """A number for the words of a doc, by which its targets are found."""
    words = "\0".join(token.text for token in doc).encode()
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def write_shard(path: Path, docs: Sequence[Doc], answers: Sequence[Answers]) -> None:
    """Write what a teacher says of the docs, for one head after the other. The file is whole or not there."""
    arrays: ArraysT = {"keys": np.array([key_of(doc) for doc in docs], dtype="uint64")}
    for number, one in enumerate(answers):
        arrays |= {f"{number}.{name}": array for name, array in pack(one).items()}
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        save_arrays(temporary, arrays)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def pack(answers: Answers) -> ArraysT:
    """The arrays of one head: probabilities and logits as float16. `save_arrays` makes the integers small."""
    targets = answers.targets
    found = [target for target in targets if target is not None]
    n_kept = max((target.values.shape[1] for target in found), default=0)
    empty = np.zeros((0, n_kept))
    return {
        "docs": np.frombuffer(DocBin(docs=answers.docs).to_bytes(), dtype="uint8"),
        "confidences": answers.confidences.astype("float32"),
        "n_rows": np.array([-1 if target is None else len(target.values) for target in targets]),
        "columns": np.concatenate([empty, *(target.columns for target in found)]).astype("int64"),
        "values": halves(np.concatenate([empty, *(target.values for target in found)])),
        "n_steps": np.array([0 if target is None else len(target.steps) for target in targets]),
        "steps": np.concatenate([np.zeros((0, 2)), *(target.steps for target in found)]).astype("int64"),
        "counts": halves(np.concatenate([np.zeros(0), *(target.counts for target in found)])),
    }


def read_targets(path: Path, forms: Mapping[int, TargetForm]) -> dict[int, list[SoftTarget | None]]:
    """Read the targets of a shard. RETURNS: for each number of a head, one for each doc."""
    with np.load(path, allow_pickle=False) as stored:
        return {number: list(unpack(stored, f"{number}.", form)) for number, form in forms.items()}


def unpack(stored: Mapping[str, NDArray[Any]], prefix: str, form: TargetForm) -> Iterable[SoftTarget | None]:
    """Yield the target of each doc."""
    columns, values = stored[f"{prefix}columns"].astype("int64"), stored[f"{prefix}values"].astype("float32")
    steps, counts = stored[f"{prefix}steps"].astype("int64"), stored[f"{prefix}counts"].astype("float32")
    row = step = 0
    for n_rows, n_steps in zip(stored[f"{prefix}n_rows"].tolist(), stored[f"{prefix}n_steps"].tolist(), strict=True):
        if n_rows < 0:
            yield None
            continue
        rows, pairs = slice(row, row + n_rows), slice(step, step + n_steps)
        row, step = row + n_rows, step + n_steps
        yield SoftTarget(
            form.kind, form.labels, form.temperature, columns[rows], values[rows], steps[pairs], counts[pairs]
        )


def read_answers(path: Path, number: int, vocab: Vocab) -> tuple[list[Doc], FloatsT, list[bool]]:
    """Read the labels of a head. RETURNS: the docs, the confidences, and whether each has a soft target."""
    with np.load(path, allow_pickle=False) as stored:
        docs = list(DocBin().from_bytes(stored[f"{number}.docs"].tobytes()).get_docs(vocab))
        return docs, stored[f"{number}.confidences"], (stored[f"{number}.n_rows"] >= 0).tolist()


def read_keys(path: Path) -> list[int]:
    """The keys of a shard's docs."""
    with np.load(path, allow_pickle=False) as stored:
        keys: list[int] = stored["keys"].tolist()
        return keys


def halves(array: NDArray[Any]) -> NDArray[np.float16]:
    """The numbers as float16; those that are too large for it are cut."""
    return np.clip(array, -MOST, MOST).astype("float16")
