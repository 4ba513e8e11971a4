"""Sampling of the corpora in turn."""

from ..protocols.sampler import SamplingState


def make_round_robin_v1() -> "RoundRobin":
    """Build the sampler that takes a doc from each corpus in turn, in the order of the config. A corpus of weight 2 has
    two turns for each turn of a corpus of weight 1. Nothing is random, so the shares are exact at any time.
    """
    return RoundRobin()


class RoundRobin:
    """The sampler."""

    changes = False

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return 1 for the corpus with the fewest docs for its weight, the first one if several have as few, else 0."""
        name = min(state.weights, key=lambda name: state.drawn[name] / state.weights[name])
        return {other: float(other == name) for other in state.weights}
