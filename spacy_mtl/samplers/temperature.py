"""Sampling between proportional and uniform, by sizes to the power 1 / tau."""

from ..protocols.sampler import SamplingState


def make_temperature_v1(tau: float = 2.0) -> "Temperature":
    """Build the sampler that draws a corpus in proportion to `weight * size ** (1 / tau)` (Devlin et al. 2019 for the
    languages of mBERT; Wang et al. 2020).

    Unknown sizes (the first pass of a stream without `read_first`) count as the mean of the known ones.

    tau (float): Temperature, above 0. At 1 the draw is proportional to size; the larger tau is, the closer the draw is
        to uniform.
    """
    if not 0 < tau < float("inf"):
        raise ValueError(f"spacy_mtl.Temperature.v1: tau is {tau}; it must be a number above 0 (1 is proportional)")
    return Temperature(tau)


class Temperature:
    """The sampler.

    tau (float): Temperature.
    """

    changes = False

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return weight * (size / largest size) ** (1 / tau) for each corpus."""
        largest = max(state.size_of(name) for name in state.weights)
        return {
            name: weight * (state.size_of(name) / largest) ** (1 / self.tau) for name, weight in state.weights.items()
        }
