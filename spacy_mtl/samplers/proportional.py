"""Each corpus in proportion to its size."""

from ..protocols.sampler import Mix


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

    def probabilities(self, mix: Mix) -> dict[str, float]:
        """In proportion to what is left of weight times size, as a share of `epoch_size`."""
        if mix.epoch_size is None:
            return {name: 0.0 if name in mix.ended else weight for name, weight in mix.weights.items()}
        masses = {name: weight * mix.size_of(name) for name, weight in mix.weights.items()}
        total = sum(masses.values())
        left = {name: mix.epoch_size * mass / total - mix.drawn[name] for name, mass in masses.items()}
        # The shares need not be whole numbers: what rounding leaves over would be drawn once too often.
        return {name: max(round(value, 6), 0.0) for name, value in left.items()}
