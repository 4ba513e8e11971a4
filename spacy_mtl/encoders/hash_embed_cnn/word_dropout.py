"""Word dropout: in training some tokens lose their word and keep the shape of it, so that the network learns from what
else a sentence tells, and what a word looks like that it has never seen.

A hash embedding has no row for unknown words: it gives them the sum of rows that belong to others. So the word of a
dropped token is not set to zero, but to one drawn at random, which looks to the network as an unknown word does.
"""

from collections.abc import Sequence

import numpy as np

from .word_vectors import IDENTITY, Words

NO_KEY = 0


def drop_words(words: Words, columns: Sequence[int], n_tables: int, rate: float, *, seed: int) -> Words:
    """Give tokens random words.

    columns (Sequence[int]): The attributes of the features; those from `n_tables` on are keys of static vectors.
    rate (float): The probability that a token is dropped.
    RETURNS (Words): The words and one more for each dropped token. Their keys are not set.
    """
    generator = np.random.default_rng(seed)
    dropped = np.flatnonzero(generator.random(len(words.of_token)) < rate)
    features = words.features[words.of_token[dropped]]
    for i, column in enumerate(columns):
        if i >= n_tables:
            features[:, i] = NO_KEY
        elif column in IDENTITY:
            features[:, i] = generator.integers(1, 2**64, size=len(dropped), dtype="uint64")
    of_token = words.of_token.copy()
    of_token[dropped] = len(words.features) + np.arange(len(dropped))
    return Words(np.concatenate([words.features, features]), words.keys, of_token)
