"""Random CRF scores, and every path through them."""

import itertools

import numpy as np

from spacy_mtl.crf.linear_chain import CRFScores

LENGTHS = np.array([3, 1, 0, 4, 2])


def random_scores(scheme, lengths=LENGTHS, *, seed=0, size=2.0):
    rng = np.random.default_rng(seed)
    n, k = int(lengths.sum()), scheme.n_tags
    arrays = [rng.normal(size=shape) * size for shape in ((n, k), (k, k), (k,), (k,))]
    return CRFScores(*arrays, lengths, np.arange(n))


def enumerate_paths(scores, scheme, doc, possible=None):
    """All valid tag sequences of one doc with their log-potentials."""
    start = int(scores.lengths[:doc].sum())
    length = int(scores.lengths[doc])
    for path in itertools.product(range(scheme.n_tags), repeat=length):
        if not (scheme.starts[path[0]] and scheme.ends[path[-1]]):
            continue
        if not all(scheme.allowed[a, b] for a, b in itertools.pairwise(path)):
            continue
        if possible is not None and not all(possible[start + i, tag] for i, tag in enumerate(path)):
            continue
        value = scores.starts[path[0]] + scores.ends[path[-1]]
        value += sum(scores.emissions[start + i, tag] for i, tag in enumerate(path))
        value += sum(scores.transitions[a, b] for a, b in itertools.pairwise(path))
        yield path, value


def brute_log_partition(scores, scheme, possible=None):
    total = 0.0
    for doc in np.flatnonzero(scores.lengths):
        values = [value for _, value in enumerate_paths(scores, scheme, doc, possible)]
        total += np.logaddexp.reduce(values)
    return total
