"""Sampling that moves from proportional towards uniform during the training (Stickland and Murray 2019)."""

from ..protocols.sampler import SamplingState


def make_annealed_v1(n_docs: int, start: float = 1.0, end: float = 5.0) -> "Annealed":
    """Build the sampler that draws a corpus in proportion to `weight * size ** alpha`, where alpha changes linearly
    (Stickland and Murray 2019, "BERT and PALs", ICML). In the paper, and by default, alpha goes from 1 to 0.2. Only for
    streams (`max_epochs = -1`).

    n_docs (int): Number of drawn docs over which alpha changes; afterwards it stays. A reader sees docs rather than
        steps, so multiply the steps of the training by the docs in a batch.
    start (float): Temperature at the beginning, above 0; alpha is `1 / start`.
    end (float): Temperature at the end, above 0.
    """
    for name, value in (("n_docs", n_docs), ("start", start), ("end", end)):
        if not 0 < value < float("inf"):
            raise ValueError(f"spacy_mtl.Annealed.v1: {name} is {value}; it must be a number above 0")
    return Annealed(n_docs, start, end)


class Annealed:
    """The sampler.

    n_docs (int): Number of drawn docs over which alpha changes.
    start (float): Temperature at the beginning.
    end (float): Temperature at the end.
    """

    changes = True

    def __init__(self, n_docs: int, start: float, end: float) -> None:
        self.n_docs = n_docs
        self.start = start
        self.end = end

    def alpha(self, n_drawn: int) -> float:
        """Return the exponent of the sizes after `n_drawn` docs."""
        share = min(n_drawn / self.n_docs, 1.0)
        return (1 - share) / self.start + share / self.end

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return weight * (size / largest size) ** alpha for each corpus."""
        alpha = self.alpha(state.total)
        largest = max(state.size_of(name) for name in state.weights)
        return {name: weight * (state.size_of(name) / largest) ** alpha for name, weight in state.weights.items()}
