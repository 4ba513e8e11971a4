"""The steps of a training in which something is measured that would cost too much in each of them."""

# Multiples of the golden ratio, modulo 1, are spread evenly over any stretch of steps, and over every n-th step of it.
# A fixed period would see the same corpus each time if corpora take turns.
GOLDEN = (5**0.5 - 1) / 2


def is_sampled(number: int, every: int) -> bool:
    """Whether a step is among the sampled ones. This depends on its number alone.

    every (int): Number of steps between two sampled ones, on average, at least 1.
    """
    return number * GOLDEN % 1.0 < 1.0 / every
