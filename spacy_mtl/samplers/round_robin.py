"""The corpora in turn."""

from ..protocols.sampler import Mix


def make_round_robin_v1() -> "RoundRobin":
    """Build the sampler that takes a doc from each corpus in turn, in the order of the config. A corpus of weight 2 has
    two turns to one of weight 1. Nothing is random, so the shares are exact at any time.
    """
    return RoundRobin()


class RoundRobin:
    """The sampler."""

    changes = False

    def probabilities(self, mix: Mix) -> dict[str, float]:
        """All for the corpus with the fewest docs for its weight, the first one if several have."""
        name = min(mix.weights, key=lambda name: mix.drawn[name] / mix.weights[name])
        return {other: float(other == name) for other in mix.weights}
