"""A weighting that sees each loss's gradient at the shared vectors: their mean, with a state of its own."""


def make_mean_v1():
    """Build the weighting."""
    return Mean()


class Mean:
    """The mean of the losses' gradients."""

    model = None
    needs = "vectors"

    def __init__(self):
        self.n_merged = 0

    def bind(self, heads):
        self.heads = tuple(heads)

    def weights(self, losses, step):
        return dict.fromkeys(losses, 1.0)

    def merge(self, gradients, step):
        self.n_merged += 1
        return sum(gradients.values()) / len(gradients)

    def get_state(self):
        return {"n_merged": self.n_merged}

    def set_state(self, state):
        self.n_merged = state["n_merged"]
