"""Potentials whose exponentials underflow, against brute force: loss, gradients and probabilities."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from crf_cases import brute_log_partition, enumerate_paths, random_scores
from strict_arrays import XP, strict_device  # noqa: F401  (a fixture)
from thinc.util import to_numpy

from spacy_mtl.crf.forward_backward import forward_backward
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.path_probability import path_probabilities
from spacy_mtl.crf.span_probability import span_probabilities
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi

SCHEMES = [make_tag_scheme("BIO", 2), make_tag_scheme("BILUO", 1)]


def paths_of(scores, scheme, possible=None):
    """For each doc with tokens: its first row, its paths, and their probabilities."""
    for doc in np.flatnonzero(scores.lengths):
        paths, values = zip(*enumerate_paths(scores, scheme, doc, possible), strict=True)
        yield int(scores.lengths[:doc].sum()), paths, np.exp(np.array(values) - np.logaddexp.reduce(values))


def brute_marginals(scores, scheme, possible=None):
    counts = scores.with_potentials(np.zeros_like(part) for part in scores.potentials)
    for first, paths, probabilities in paths_of(scores, scheme, possible):
        for path, probability in zip(paths, probabilities, strict=True):
            counts.emissions[np.arange(len(path)) + first, path] += probability
            np.add.at(counts.transitions, (path[:-1], path[1:]), probability)
            counts.starts[path[0]] += probability
            counts.ends[path[-1]] += probability
    return counts


def unreachable_leads(scheme):
    """The first token looks like the inside of an entity, which it cannot be."""
    scores = random_scores(scheme)
    first = (np.cumsum(scores.lengths) - scores.lengths)[scores.lengths > 0]
    scores.emissions[np.ix_(first, np.flatnonzero(~scheme.starts))] += 2000.0
    return scores


def overtaken_late(scheme):
    """The begin of an entity is far behind, and its second token makes up for it."""
    scores = random_scores(scheme)
    first = (np.cumsum(scores.lengths) - scores.lengths)[scores.lengths > 1]
    scores.emissions[np.ix_(first, np.flatnonzero(scheme.prefix != "O"))] -= 2000.0
    scores.emissions[np.ix_(first + 1, np.flatnonzero(~scheme.starts))] += 5000.0
    return scores


def far_transitions(scheme):
    """Transitions that exp takes to zero or to infinity."""
    scores = random_scores(scheme)
    return replace(scores, transitions=scores.transitions * 1000.0, starts=scores.starts * 1000.0)


def wild(scheme):
    return random_scores(scheme, seed=1, size=1000.0)


CASES = [unreachable_leads, overtaken_late, far_transitions, wild]


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=["BIO", "BILUO"])
def test_log_partition_and_marginals_equal_enumeration(make, scheme):
    scores = make(scheme)
    lattice = forward_backward(constrain(scores, scheme))
    assert lattice.log_partition == pytest.approx(brute_log_partition(scores, scheme), rel=1e-12)
    found, expected = lattice.marginals(scores), brute_marginals(scores, scheme)
    for mine, theirs in zip(found.potentials, expected.potentials, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=["BIO", "BILUO"])
def test_possible_tags_equal_enumeration(make, scheme):
    scores = make(scheme)
    possible = np.random.default_rng(3).random(scores.emissions.shape) < 0.5
    possible[:, 0] = True
    lattice = forward_backward(constrain(scores, scheme), possible=possible)
    assert lattice.log_partition == pytest.approx(brute_log_partition(scores, scheme, possible), rel=1e-12)
    found, expected = lattice.marginals(scores), brute_marginals(scores, scheme, possible)
    for mine, theirs in zip(found.potentials, expected.potentials, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=["BIO", "BILUO"])
def test_probabilities_of_paths_and_spans_equal_enumeration(make, scheme):
    scores = make(scheme)
    constrained = constrain(scores, scheme)
    tags = viterbi(constrained)
    starts, ends, labels = scheme.spans(tags)
    spans = dict(
        zip(
            zip(starts.tolist(), ends.tolist(), labels.tolist(), strict=True),
            span_probabilities(constrained, tags, starts, ends),
            strict=True,
        )
    )
    found = path_probabilities(constrained, tags)[scores.lengths > 0]
    for doc, (first, paths, probabilities) in enumerate(paths_of(scores, scheme)):
        best = tuple(tags[first : first + len(paths[0])].tolist())
        assert found[doc] == pytest.approx(probabilities[paths.index(best)], abs=1e-9)
        expected = dict.fromkeys(spans, 0.0)
        for path, probability in zip(paths, probabilities, strict=True):
            for start, end, label in zip(*scheme.spans(np.array(path)), strict=True):
                key = (start + first, end + first, label)
                if key in expected:
                    expected[key] += probability
        for key in (key for key in spans if first <= key[0] < first + len(best)):
            assert spans[key] == pytest.approx(expected[key], abs=1e-9)


@pytest.mark.parametrize("make", CASES)
def test_the_device_gives_the_same(make, strict_device):  # noqa: F811
    scheme = SCHEMES[0]
    scores = make(scheme)
    near = forward_backward(constrain(scores, scheme))
    far = scores.with_potentials(map(XP.asarray, scores.potentials))
    lattice = forward_backward(constrain(far, scheme))
    assert lattice.log_partition == pytest.approx(near.log_partition, rel=1e-12)
    pairs = zip(lattice.marginals(far).potentials, near.marginals(scores).potentials, strict=True)
    for mine, theirs in pairs:
        np.testing.assert_allclose(to_numpy(mine), theirs, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["BIO", "BILUO"])
def test_both_lattices_agree_where_both_can_be_used(scheme, monkeypatch):
    from spacy_mtl.crf import forward_backward as module

    scores = random_scores(scheme, seed=4)
    constrained = constrain(scores, scheme)
    scaled = forward_backward(constrained)
    monkeypatch.setattr(module, "SAFE", -1.0)
    logs = forward_backward(constrained)
    assert type(logs) is not type(scaled)
    assert logs.log_partition == pytest.approx(scaled.log_partition, rel=1e-13)
    rows = np.arange(len(scores.emissions))
    for mine, theirs in itertools.chain(
        zip(logs.marginals(scores).potentials, scaled.marginals(scores).potentials, strict=True),
        zip(map(np.exp, logs.logs(rows)), map(np.exp, scaled.logs(rows)), strict=True),
    ):
        assert mine == pytest.approx(theirs, abs=1e-12)
