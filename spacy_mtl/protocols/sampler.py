"""What readers know of a sampler, and what a sampler knows of the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass
class SamplingState:
    """What a sampler knows when it chooses the corpus of the next doc. All dicts are by the name of the corpus.

    weights (dict[str, float]): Weight of each corpus, in the order of the config.
    sizes (dict[str, int | None]): Number of docs in each corpus; None if they have not been counted yet.
    drawn (dict[str, int]): Docs drawn in this pass.
    total (int): Docs drawn in all passes.
    epoch_size (int | None): Number of docs in a pass; None if a pass ends once all corpora have been read.
    ended (set[str]): The corpora that have been read to their end in this pass.
    scores (dict[str, dict[str, float]]): Corpus -> head -> main score at the last evaluation.
    """

    weights: dict[str, float]
    sizes: dict[str, int | None]
    drawn: dict[str, int]
    total: int = 0
    epoch_size: int | None = None
    ended: set[str] = field(default_factory=set)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    def size_of(self, name: str) -> float:
        """Get the number of docs in a corpus. If it is not known yet, it is the mean of the known ones, or 1."""
        size = self.sizes[name]
        if size is not None:
            return float(size)
        known = [other for other in self.sizes.values() if other is not None]
        return sum(known) / len(known) if known else 1.0


@runtime_checkable
class Sampler(Protocol):
    """The proportions in which to draw from several corpora. The reader draws; a sampler only gives the probabilities.

    changes (bool): Whether the proportions change during training. They would be meaningless if spaCy repeated the
        first draw in each epoch.
    """

    changes: bool

    def probabilities(self, state: SamplingState) -> Mapping[str, float]:
        """Compute how likely each corpus is to give the next doc, up to a common factor. At least one is above 0."""


@runtime_checkable
class Scored(Protocol):
    """A component that keeps its last scores for samplers.

    main_scores (Mapping[str, float | None]): Main score of each head.
    corpus_scores (Mapping[str, Mapping[str, float]]): Corpus -> head -> main score on the docs of the corpus.
    """

    main_scores: Mapping[str, float | None]
    corpus_scores: Mapping[str, Mapping[str, float]]
