"""What the readers know of a sampler, and a sampler of the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass
class SamplingState:
    """What a sampler knows when it chooses the corpus of the next doc. Everything is by the corpus's name.

    weights (dict[str, float]): The corpora's weights, in the order of the config.
    sizes (dict[str, int | None]): Docs in each; None where nobody has counted them yet.
    drawn (dict[str, int]): Docs drawn in this pass.
    total (int): Docs drawn in all passes.
    epoch_size (int | None): Docs in a pass; None if it ends when each corpus has come to its end.
    ended (set[str]): The corpora that came to their end in this pass.
    scores (dict[str, dict[str, float]]): Corpus -> head -> the head's main score on the corpus at the last evaluation.
    """

    weights: dict[str, float]
    sizes: dict[str, int | None]
    drawn: dict[str, int]
    total: int = 0
    epoch_size: int | None = None
    ended: set[str] = field(default_factory=set)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    def size_of(self, name: str) -> float:
        """Docs in the corpus; while nobody has counted them, the mean of the corpora that were, else 1."""
        size = self.sizes[name]
        if size is not None:
            return float(size)
        known = [other for other in self.sizes.values() if other is not None]
        return sum(known) / len(known) if known else 1.0


@runtime_checkable
class Sampler(Protocol):
    """In which proportion to draw from several corpora. The reader draws; a sampler only says how likely each is.

    changes (bool): Whether the proportion moves in the course of the training, so that a draw that spaCy repeats
        in each epoch would make it meaningless.
    """

    changes: bool

    def probabilities(self, state: SamplingState) -> Mapping[str, float]:
        """How likely each corpus is to give the next doc, up to a common factor; at least one is above 0."""


@runtime_checkable
class Scored(Protocol):
    """A component that keeps its last scores, so that a sampler can look at them.

    main_scores (Mapping[str, float | None]): Each head's main score.
    corpus_scores (Mapping[str, Mapping[str, float]]): Corpus -> head -> main score on the docs of the corpus.
    """

    main_scores: Mapping[str, float | None]
    corpus_scores: Mapping[str, Mapping[str, float]]
