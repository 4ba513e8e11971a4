"""Word dropout: in training, some tokens get a random word but keep their other features, such as SHAPE.

The network then learns to rely on the context, and to deal with words that it has never seen. A hash embedding has no
row for unknown words: it gives them the sum of rows that belong to other words. A random word looks just like that, so
it is used instead of zeros.
"""

from collections.abc import Sequence

import numpy as np

from .word_vectors import IDENTITY, Words

NO_KEY = 0


def drop_words(words: Words, columns: Sequence[int], n_tables: int, rate: float, *, seed: int) -> Words:
    """Give random words to some tokens.

    words (Words): The distinct words of the batch.
    columns (Sequence[int]): The attributes of the features; those from `n_tables` on are keys of static vectors.
    n_tables (int): Number of hash tables.
    rate (float): Probability that a token is dropped.
    seed (int): Seed of the random choice.
    RETURNS (Words): The words, followed by one for each dropped token. The keys of the latter are not set.
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
