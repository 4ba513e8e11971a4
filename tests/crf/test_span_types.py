"""Scores of other types for decoded spans, against the potentials of whole sequences."""

import numpy as np
import pytest

from spacy_mtl.crf.linear_chain import CRFScores, constrain, path_scores
from spacy_mtl.crf.span_types import span_type_scores
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_differences_of_whole_sequences(kind, seed):
    rng = np.random.default_rng(seed)
    scheme = make_tag_scheme(kind, 3)
    lengths = np.array([4, 0, 1, 9, 2])
    sizes = ((16, scheme.n_tags), (scheme.n_tags, scheme.n_tags), (scheme.n_tags,), (scheme.n_tags,))
    potentials = [rng.normal(size=size) * 2 for size in sizes]
    potentials[0][:, 0] -= 1.0
    scores = constrain(CRFScores(*potentials, lengths, np.arange(16)), scheme)
    tags = viterbi(scores)
    starts, ends, labels = scheme.spans(tags)
    assert len(starts) > 3
    found = span_type_scores(scores, tags, starts, ends, scheme)
    size = 2 if kind == "BIO" else 4
    for span, (start, end, own) in enumerate(zip(starts, ends, labels, strict=True)):
        for label in range(3):
            changed = tags.copy()
            changed[start:end] += (label - own) * size
            difference = path_scores(scores, changed)[0] - path_scores(scores, tags)[0]
            assert found[span, label] == pytest.approx(difference)


def test_no_spans():
    scheme = make_tag_scheme("BIO", 2)
    none = np.zeros(0, dtype="int64")
    scores = CRFScores(np.zeros((0, 5)), np.zeros((5, 5)), np.zeros(5), np.zeros(5), none, none)
    assert span_type_scores(scores, none, none, none, scheme).shape == (0, 2)
