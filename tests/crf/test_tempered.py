"""A CRF at a temperature against enumeration."""

import numpy as np
import pytest
from crf_cases import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.path_probability import path_probabilities
from spacy_mtl.crf.span_probability import span_probabilities
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.tempered import agreeing_logs, at_temperature
from spacy_mtl.crf.viterbi import viterbi

TEMPERATURES = [0.3, 1.0, 2.5]


def weights_of(scores, scheme, doc, temperature):
    """All sequences of a doc with their probabilities at a temperature."""
    paths, values = zip(*enumerate_paths(scores, scheme, doc), strict=True)
    logs = np.array(values) / temperature
    return paths, np.exp(logs - np.logaddexp.reduce(logs))


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_probabilities_of_tags_and_spans(kind, temperature):
    scheme = make_tag_scheme(kind, 2)
    scores = random_scores(scheme, seed=3)
    constrained = constrain(scores, scheme)
    tags = viterbi(constrained)
    tempered = at_temperature(constrained, temperature)
    assert viterbi(tempered).tolist() == tags.tolist()
    starts, ends, labels = scheme.spans(tags)
    of_paths, of_spans = path_probabilities(tempered, tags), span_probabilities(tempered, tags, starts, ends)
    offsets = np.cumsum([0, *LENGTHS])
    assert len(starts)
    for doc in np.flatnonzero(LENGTHS):
        paths, weights = weights_of(scores, scheme, doc, temperature)
        own = tuple(tags[offsets[doc] : offsets[doc + 1]].tolist())
        assert of_paths[doc] == pytest.approx(weights[paths.index(own)], abs=1e-9)
        for index in np.flatnonzero((starts >= offsets[doc]) & (starts < offsets[doc + 1])):
            span = (starts[index] - offsets[doc], ends[index] - offsets[doc], labels[index])
            has = [span in set(zip(*(c.tolist() for c in scheme.spans(np.array(p))), strict=True)) for p in paths]
            assert of_spans[index] == pytest.approx(weights[np.array(has)].sum(), abs=1e-9)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_probability_that_tags_are_among_some(temperature):
    scheme = make_tag_scheme("BIO", 2)
    scores = random_scores(scheme, seed=5)
    possible = np.random.default_rng(0).random(scores.emissions.shape) < 0.6
    possible[:, 0] = True
    logs = agreeing_logs(at_temperature(constrain(scores, scheme), temperature), possible)
    offsets = np.cumsum([0, *LENGTHS])
    for doc, length in enumerate(LENGTHS.tolist()):
        if not length:
            assert logs[doc] == 0.0
            continue
        paths, weights = weights_of(scores, scheme, doc, temperature)
        agrees = [possible[offsets[doc] + np.arange(length), path].all() for path in map(np.array, paths)]
        assert logs[doc] == pytest.approx(np.log(weights[np.array(agrees)].sum()), abs=1e-9)


def test_tags_that_can_not_be_have_no_probability():
    scheme = make_tag_scheme("BIO", 1)
    scores = constrain(random_scores(scheme, np.array([2, 2])), scheme)
    possible = np.ones((4, 3), dtype=bool)
    possible[0] = [False, False, True]  # a sequence can't begin with I
    logs = agreeing_logs(scores, possible)
    assert logs[0] == -np.inf
    assert logs[1] == pytest.approx(0.0, abs=1e-9)
