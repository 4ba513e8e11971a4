"""Each corpus equally often."""

from ..protocols.sampler import Mix


def make_uniform_v1() -> "Uniform":
    """Build the sampler that draws a corpus in proportion to its weight alone, whatever its size."""
    return Uniform()


class Uniform:
    """The sampler."""

    changes = False

    def probabilities(self, mix: Mix) -> dict[str, float]:
        """The weights."""
        return mix.weights
