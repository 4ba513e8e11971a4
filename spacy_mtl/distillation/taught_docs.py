"""The raw docs that the student learns from, with the labels of all teachers, as `.spacy` files."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..gold import unannotated
from ..readers.stored_targets import shards_in
from ..readers.target_shard import read_answers
from .doc_annotation import copy_annotation
from .teacher_pass import TeacherPass, in_shards


@dataclass
class TaughtCounts:
    """What the student gets for a head. soft, hard (int): Number of raw docs with a soft target, and with a label.
    doubtful (int): Number of docs whose label was not sure enough. confidence (float | None): Mean confidence of the
    labels of all docs; None if the teacher can't tell.
    """

    soft: int = 0
    hard: int = 0
    doubtful: int = 0
    confidence: float | None = None


def write_taught_docs(
    folder: Path, passes: Sequence[TeacherPass], thresholds: Mapping[str, float], *, use_soft: bool, vocab: Vocab
) -> dict[str, TaughtCounts]:
    """Write the docs that have a label or a soft target of any head, a file for each shard.

    folder (Path): Replaced as a whole.
    passes (Sequence[TeacherPass]): What the teachers have said of the same texts.
    thresholds (Mapping[str, float]): Least confidence of a label by head.
    use_soft (bool): Leave out labels where there is a soft target.
    RETURNS: by head.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    counts = {head: TaughtCounts() for one in passes for head in one.result()["heads"]}
    confidences: dict[str, list[float]] = {head: [] for head in counts}
    shards = zip(*(shards_in(one.path) for one in passes), strict=True)
    for number, (docs, paths) in enumerate(zip(in_shards(passes[0].texts.read()), shards, strict=True)):
        targets = [unannotated(doc, vocab) for doc in docs]
        is_used = np.zeros(len(docs), dtype=bool)
        for one, path in zip(passes, paths, strict=True):
            for place, head in enumerate(one.result()["heads"]):
                labelled, sure, has_soft = read_answers(path, place, vocab)
                soft = np.array(has_soft) & use_soft
                taken = ~soft & ~(sure < thresholds[head])
                for row in np.flatnonzero(taken).tolist():
                    copy_annotation(labelled[row], targets[row])
                is_used |= soft | taken
                found = counts[head]
                found.soft += int(soft.sum())
                found.hard += int(taken.sum())
                found.doubtful += int((~soft & ~taken).sum())
                confidences[head] += sure[~np.isnan(sure)].tolist()
        save(temporary / f"{number:06d}.spacy", [targets[row] for row in np.flatnonzero(is_used).tolist()])
    for head, values in confidences.items():
        counts[head].confidence = float(np.mean(values)) if values else None
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return counts


def save(path: Path, docs: Sequence[Doc]) -> None:
    """Write the docs, if there are any."""
    if docs:
        DocBin(docs=docs).to_disk(path)
