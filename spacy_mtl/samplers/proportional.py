"""Sampling in proportion to the sizes of the corpora."""

from ..protocols.sampler import SamplingState


def make_proportional_v1() -> "Proportional":
    """Build the sampler that draws a corpus in proportion to weight times size. With equal weights, each doc is drawn
    exactly once in each pass, in mixed order.

    While sizes are unknown (the first pass of a stream without `read_first`), the corpora that have not ended are drawn
    in proportion to their weights. Each doc is still drawn exactly once, but small corpora end early.
    """
    return Proportional()


class Proportional:
    """The sampler. It draws from the share of the pass that each corpus has left, so that the shares become exact."""

    changes = False

    def probabilities(self, state: SamplingState) -> dict[str, float]:
        """Return the number of docs that each corpus has left in this pass; its weight while sizes are unknown."""
        if state.epoch_size is None:
            return {name: 0.0 if name in state.ended else weight for name, weight in state.weights.items()}
        masses = {name: weight * state.size_of(name) for name, weight in state.weights.items()}
        total = sum(masses.values())
        left = {name: state.epoch_size * mass / total - state.drawn[name] for name, mass in masses.items()}
        # Shares may have fractions, and the tiny remainder of a sum of floats would lead to one draw too many.
        return {name: max(round(value, 6), 0.0) for name, value in left.items()}
