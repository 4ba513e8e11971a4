"""Each corpus in proportion to its size."""

from ..protocols.sampler import SamplingState


def make_proportional_v1() -> "Proportional":
    """Build the sampler that draws a corpus in proportion to weight times size. With equal weights each doc is drawn
    exactly once a pass, in mixed order.

    While sizes are unknown (the first pass of a stream without `read_first`), the corpora that have not ended are drawn
    in proportion to their weights. Each doc still comes exactly once, but small corpora end early.
    """
    return Proportional()


class Proportional:
    """The sampler. It draws without replacement from each corpus's share of the pass, so that the shares are exact."""

    changes = False

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """In proportion to what is left of weight times size, as a share of `epoch_size`."""
        if state.epoch_size is None:
            return {name: 0.0 if name in state.ended else weight for name, weight in state.weights.items()}
        masses = {name: weight * state.size_of(name) for name, weight in state.weights.items()}
        total = sum(masses.values())
        left = {name: state.epoch_size * mass / total - state.drawn[name] for name, mass in masses.items()}
        # The shares need not be whole numbers: what rounding leaves over would be drawn once too often.
        return {name: max(round(value, 6), 0.0) for name, value in left.items()}
