"""A sampler: the corpus of which the fewest docs were drawn."""


def make_smallest_v1():
    """Build the sampler."""
    return Smallest()


class Smallest:
    """Keeps the corpora level."""

    changes = False

    def probabilities(self, state):
        least = min(state.drawn.values())
        return {name: float(drawn == least) for name, drawn in state.drawn.items()}
