"""Sampling that ignores the sizes of the corpora."""

from ..protocols.sampler import SamplingState


def make_uniform_v1() -> "Uniform":
    """Build the sampler that draws a corpus in proportion to its weight alone, whatever its size."""
    return Uniform()


class Uniform:
    """The sampler."""

    changes = False

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return the weights."""
        return state.weights
