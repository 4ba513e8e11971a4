"""The batcher that skips the batches from which a resumed training has learned already."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import srsly

from .save_state import TRAINING, find_state

BatcherT = Callable[[Iterable[Any]], Iterable[Any]]


def make_resume_batches_v1(batcher: BatcherT, path: str, resume: bool = False) -> "ResumedBatches":
    """Build a batcher that skips the batches from which a resumed training has learned already, for
    `[training.batcher]`.

    batcher (Callable): The batcher that makes the batches, of any kind.
    path (str): The folder of the training's state: the `path` of `spacy_mtl.TrainingState.v1`.
    resume (bool): Whether the training is resumed: the `resume` of `spacy_mtl.TrainingState.v1`.
    """
    return ResumedBatches(batcher, Path(path) if resume else None)


class ResumedBatches:
    """The batcher. It reads and discards as many batches as the saved training took steps, over all epochs, so that
    readers, augmenters and shuffling return to the state in which that training was saved.

    batcher (Callable): The batcher that makes the batches.
    folder (Path | None): The folder of the saved state; None if the training is not resumed.
    """

    def __init__(self, batcher: BatcherT, folder: Path | None) -> None:
        self.batcher = batcher
        self.folder = folder
        self._n_left: int | None = None

    def __call__(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of an epoch that were not learned from yet."""
        if self._n_left is None:
            self._n_left = 0 if self.folder is None else srsly.read_msgpack(find_state(self.folder) / TRAINING)["step"]
        for batch in self.batcher(items):
            if self._n_left:
                self._n_left -= 1
            else:
                yield batch
