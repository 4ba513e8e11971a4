"""The CRF against brute force over all tag sequences of small random cases."""

import itertools

import numpy as np
import pytest
from crf_cases import brute_log_partition, enumerate_paths, random_scores

from spacy_mtl.crf import viterbi as viterbi_module
from spacy_mtl.crf.forward_backward import forward_backward
from spacy_mtl.crf.linear_chain import constrain, pack, path_scores
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi


@pytest.fixture(params=[("BIO", 2), ("BILUO", 1)], ids=["BIO", "BILUO"])
def scheme(request):
    return make_tag_scheme(*request.param)


@pytest.mark.parametrize("few_pairs", [0, 2**15], ids=["pruned", "every pair"])
@pytest.mark.parametrize("seed", range(3))
def test_log_partition_and_viterbi_equal_enumeration(scheme, seed, few_pairs, monkeypatch):
    monkeypatch.setattr(viterbi_module, "FEW_PAIRS", few_pairs)
    scores = random_scores(scheme, seed=seed)
    constrained = constrain(scores, scheme)
    lattice = forward_backward(constrained)
    assert lattice.log_partition == pytest.approx(brute_log_partition(scores, scheme), rel=1e-10)
    best = [
        max(enumerate_paths(scores, scheme, doc), key=lambda pair: pair[1])[0] if scores.lengths[doc] else ()
        for doc in range(len(scores.lengths))
    ]
    assert viterbi(constrained).tolist() == list(itertools.chain.from_iterable(best))


def test_marginals_are_the_gradient_of_the_log_partition(scheme):
    scores = random_scores(scheme)
    marginals = forward_backward(constrain(scores, scheme)).marginals(scores)
    eps = 1e-6
    for part, gradient in zip(scores.potentials, marginals.potentials, strict=True):
        for place in np.ndindex(part.shape):
            kept = part[place]
            part[place] = kept + eps
            up = brute_log_partition(scores, scheme)
            part[place] = kept - eps
            down = brute_log_partition(scores, scheme)
            part[place] = kept
            assert gradient[place] == pytest.approx((up - down) / (2 * eps), abs=1e-7)


def test_partial_likelihood_and_gradient_equal_enumeration(scheme):
    scores = random_scores(scheme)
    rng = np.random.default_rng(3)
    possible = rng.random(scores.emissions.shape) < 0.4
    possible[:, 0] = True
    lattice = forward_backward(constrain(scores, scheme), possible=possible)
    assert lattice.log_partition == pytest.approx(brute_log_partition(scores, scheme, possible), rel=1e-10)
    marginals = lattice.marginals(scores)
    assert not marginals.emissions[~possible].any()
    eps = 1e-6
    for place in itertools.islice(np.ndindex(scores.transitions.shape), 12):
        kept = scores.transitions[place]
        values = []
        for shift in (eps, -eps):
            scores.transitions[place] = kept + shift
            values.append(brute_log_partition(scores, scheme, possible))
        scores.transitions[place] = kept
        assert marginals.transitions[place] == pytest.approx((values[0] - values[1]) / (2 * eps), abs=1e-7)


def test_path_scores_equal_the_definition(scheme):
    scores = random_scores(scheme)
    tags = viterbi(constrain(scores, scheme))
    total, counts = path_scores(scores, tags)
    expected, start = 0.0, 0
    for doc in np.flatnonzero(scores.lengths):
        length = int(scores.lengths[doc])
        path = tuple(tags[start : start + length].tolist())
        expected += dict(enumerate_paths(scores, scheme, doc))[path]
        start += length
    assert total == pytest.approx(expected, rel=1e-10)
    assert counts.transitions.sum() == len(tags) - np.count_nonzero(scores.lengths)
    parts = zip(scores.potentials, counts.potentials, strict=True)
    assert sum((part * count).sum() for part, count in parts) == pytest.approx(expected, rel=1e-10)


def test_extreme_potentials_stay_finite():
    scheme = make_tag_scheme("BIO", 3)
    scores = random_scores(scheme, np.array([40, 7]), size=60.0)
    lattice = forward_backward(constrain(scores, scheme))
    assert np.isfinite(lattice.log_partition)
    assert np.allclose(lattice.marginals(scores).emissions.sum(axis=1), 1.0)


def test_pack_orders_rows_by_time_step():
    packing = pack(np.array([2, 0, 3]))
    assert packing.order.tolist() == [2, 0]
    assert packing.rows.tolist() == [2, 0, 3, 1, 4]
    assert packing.before.tolist() == [0, 1, 2]
    assert packing.sizes.tolist() == [2, 2, 1]
    assert packing.last.tolist() == [4, 3]


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_scheme_encodes_and_decodes_spans(kind):
    scheme = make_tag_scheme(kind, 2)
    iob = np.array([3, 1, 2, 3, 3, 1, 1])
    labels = np.array([0, 0, -1, 1, 1, 1, 1])
    lengths = np.array([4, 3])
    tags, possible = scheme.encode(iob, labels, lengths)
    assert possible.sum(axis=1).tolist() == [1] * 7
    assert [array.tolist() for array in scheme.spans(tags)] == [[0, 3, 4], [2, 4, 7], [0, 1, 1]]


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_every_completion_of_a_partial_annotation_agrees_with_it(kind):
    scheme = make_tag_scheme(kind, 2)
    iob, labels = np.array([0, 3, 0, 1]), np.array([-1, 0, -1, 1])
    tags, possible = scheme.encode(iob, labels, np.array([4]))
    assert tags[0] == tags[2] == -1
    assert possible[0].all()
    assert possible[2].all()
    names = [f"{p}{n}" for p, n in zip(scheme.prefix, scheme.label, strict=True)]
    assert {names[i] for i in np.flatnonzero(possible[1])} == ({"B0"} if kind == "BIO" else {"B0", "U0"})
    assert {names[i] for i in np.flatnonzero(possible[3])} == ({"I1"} if kind == "BIO" else {"L1"})


def test_an_inside_that_cannot_go_on_begins_an_entity():
    scheme = make_tag_scheme("BIO", 2)
    tags, _ = scheme.encode(np.array([1, 2, 1, 1]), np.array([0, -1, 0, 1]), np.array([1, 3]))
    assert tags.tolist() == [1, 0, 1, 3]


def plain_viterbi(scores):
    """Viterbi in double precision, one sequence and one step at a time."""
    emissions, transitions, starts, ends = (part.astype("d") for part in scores.potentials)
    tags, first = [], 0
    for length in scores.lengths:
        rows, first = emissions[first : first + length], first + length
        best, pointers = starts + rows[0], []
        for row in rows[1:]:
            arriving = best[:, None] + transitions
            pointers.append(arriving.argmax(axis=0))
            best = arriving.max(axis=0) + row
        path = [int((best + ends).argmax())]
        for pointer in reversed(pointers):
            path.append(int(pointer[path[-1]]))
        tags += reversed(path)
    return tags


@pytest.mark.parametrize("few_pairs", [0, 2**15], ids=["pruned", "every pair"])
@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_viterbi_is_exact_on_long_docs_in_single_precision(kind, few_pairs, monkeypatch):
    monkeypatch.setattr(viterbi_module, "FEW_PAIRS", few_pairs)
    scheme = make_tag_scheme(kind, 4)
    scores = random_scores(scheme, np.array([60_000, 30_000]))
    scores = constrain(scores.with_potentials(part.astype("f") for part in scores.potentials), scheme)
    assert np.count_nonzero(viterbi(scores) != plain_viterbi(scores)) == 0
