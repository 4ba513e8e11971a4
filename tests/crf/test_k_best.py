"""The likeliest tag sequences against all of them."""

import numpy as np
import pytest
from crf_cases import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.crf.k_best import likely_paths
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.tag_scheme import make_tag_scheme


def ranked(scores, scheme, doc):
    """All sequences of a doc with their log-probabilities, the likeliest first."""
    if not scores.lengths[doc]:
        return [((), 0.0)]
    found = sorted(enumerate_paths(scores, scheme, doc), key=lambda pair: -pair[1])
    total = np.logaddexp.reduce([value for _, value in found])
    return [(path, value - total) for path, value in found]


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
@pytest.mark.parametrize("most", [1, 3, 10_000])
@pytest.mark.parametrize("least", [-np.inf, np.log(0.02), np.log(0.4)])
def test_paths_are_those_of_enumeration(kind, most, least):
    scheme = make_tag_scheme(kind, 2)
    for seed in range(4):
        scores = random_scores(scheme, seed=seed)
        found = likely_paths(constrain(scores, scheme), least=least, most=most)
        assert len(found) == len(LENGTHS)
        for doc, paths in enumerate(found):
            expected = [pair for pair in ranked(scores, scheme, doc) if pair[1] >= least][:most]
            assert [tuple(row) for row in paths.tags.tolist()] == [path for path, _ in expected]
            assert paths.logs == pytest.approx([log for _, log in expected], abs=1e-9)


def test_all_paths_have_a_probability_of_one_together():
    scheme = make_tag_scheme("BIO", 2)
    scores = constrain(random_scores(scheme), scheme)
    for paths in likely_paths(scores, least=-np.inf, most=100_000):
        assert np.exp(paths.logs).sum() == pytest.approx(1.0, abs=1e-9)


def test_tags_that_a_doc_forbids_are_in_no_path():
    scheme = make_tag_scheme("BIO", 2)
    scores = random_scores(scheme)
    scores.possible = np.ones(scores.emissions.shape, dtype=bool)
    scores.possible[1, 1:] = False
    first = likely_paths(constrain(scores, scheme), least=-np.inf, most=1000)[0]
    assert len(first.tags) > 1
    assert (first.tags[:, 1] == 0).all()


def test_a_batch_without_tokens():
    scheme = make_tag_scheme("BIO", 1)
    scores = constrain(random_scores(scheme, np.array([0, 0])), scheme)
    assert [paths.tags.shape for paths in likely_paths(scores, least=-1.0, most=5)] == [(1, 0), (1, 0)]
