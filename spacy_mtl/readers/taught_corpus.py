"""A reader that adds what teachers say to the docs of another reader."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spacy.language import Language
from spacy.training import Example

from ..origin import mark_augmented
from ..protocols.soft_targets import SoftTarget
from ..teaching import Teaching, teach
from .stored_targets import StoredTargets

READER = "spacy_mtl.TaughtCorpus.v1"


def make_taught_corpus_v1(
    reader: Callable[[Language], Iterable[Example]],
    targets: list[str],
    gold_share: float = 0.0,
    anneal_steps: int = 0,
    augmented: bool = False,
) -> "TaughtCorpus":
    """Build a reader that adds teachers' soft targets to the docs of another reader, so that heads learn from both.
    `spacy mtl distil` writes the targets, and a config with this reader.

    A head that finds gold and a target in a doc learns from both. The gold has the share `gold_share` in its loss, the
    target the rest. With `anneal_steps` the share of the gold rises linearly to 1 in that many steps (teacher
    annealing, Clark et al. 2019). A head that finds only one of the two learns from it alone. Docs that the teachers
    have not seen, such as those of an augmenter, keep their gold.

    reader (Callable[[Language], Iterable[Example]]): Any spaCy reader.
    targets (list[str]): Folders with the targets.
    gold_share (float): Share of the gold in the loss at the first step, from 0 to 1.
    anneal_steps (int): Number of steps in which the share rises to 1; 0 leaves it as it is.
    augmented (bool): The docs were made from others, so that their words are left out of word counts
        (`rare_word_dropout`).
    """
    if not 0.0 <= gold_share <= 1.0:
        raise ValueError(f"{READER}: gold_share is {gold_share}, expected a number from 0 to 1")
    if anneal_steps < 0:
        raise ValueError(f"{READER}: anneal_steps is {anneal_steps}, expected a number of steps, or 0 for no annealing")
    return TaughtCorpus(reader, targets, gold_share=gold_share, anneal_steps=anneal_steps, augmented=augmented)


class TaughtCorpus:
    """The reader."""

    def __init__(
        self,
        reader: Callable[[Language], Iterable[Example]],
        targets: Iterable[str],
        *,
        gold_share: float,
        anneal_steps: int,
        augmented: bool,
    ) -> None:
        """For the arguments see `make_taught_corpus_v1`."""
        self.reader = reader
        self.targets = list(targets)
        self.gold_share = gold_share
        self.anneal_steps = anneal_steps
        self.augmented = augmented
        # Messages about broken corpora name the file.
        self.path: Any = getattr(reader, "path", None)
        self._stored: list[StoredTargets] | None = None

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples.

        Raises a ValueError if a folder of targets is not complete, or if no doc has a target.
        """
        if self._stored is None:
            self._stored = [StoredTargets(path) for path in self.targets]
        is_empty, found = True, False
        for eg in self.reader(nlp):
            is_empty = False
            targets: dict[str, SoftTarget] = {}
            for stored in self._stored:
                targets |= stored.of(eg.predicted)
            if targets:
                teach(eg.reference, Teaching(targets, self.gold_share, self.anneal_steps))
            if self.augmented:
                mark_augmented(eg.predicted)
            found = found or any(stored.knows(eg.predicted) for stored in self._stored)
            yield eg
        if self._stored and not is_empty and not found:
            raise ValueError(
                f"{READER}: the targets in {self.targets} are of other texts: the teachers have seen no doc"
            )
