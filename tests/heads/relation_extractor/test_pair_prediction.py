"""Prediction against the network that is trained, and against deciding about every pair."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_mtl.heads.relation_extractor import pair_prediction
from spacy_mtl.heads.relation_extractor.candidate_pairs import find_pairs
from spacy_mtl.heads.relation_extractor.decoded_relations import FoundRelations
from spacy_mtl.heads.relation_extractor.pair_network import RelationScores, pair_network
from spacy_mtl.heads.relation_extractor.relation_extractor import make_relation_extractor_v1
from spacy_mtl.heads.relation_extractor.relation_losses import teacher_losses
from spacy_mtl.protocols.found_annotation import FoundSpans
from spacy_mtl.protocols.head import HeadInput
from spacy_mtl.relation import Relation, relations, set_relations

TYPES, LABELS = ["LOC", "ORG", "PER"], ["in", "job", "knows"]
NAMES = (*TYPES, "unknown")
LENGTHS = [9, 0, 1, 30, 14]


def draw_pairs(rng, n_entities=60, **settings):
    """Pairs of entities of all lengths, some inside of others, some at the edges of docs."""
    rows = set()
    for doc in rng.choice([0, 2, 3, 4], n_entities).tolist():
        start = int(rng.integers(0, LENGTHS[doc]))
        end = int(min(start + rng.choice([1, 1, 2, 3, 6]), LENGTHS[doc]))
        rows.add((doc, start, end))
    columns = np.array(sorted(rows), dtype="int64").T
    spans = FoundSpans(*columns, rng.integers(0, len(NAMES), columns.shape[1]), NAMES)
    return find_pairs(spans, LENGTHS, TYPES, max_pairs=5000, **settings)


def draw_network(rng, n_extra=0):
    fix_random_seed(0)
    model = pair_network(24, {"labels": LABELS, "types": TYPES, "n_extra": n_extra})
    docs = [Doc(spacy.blank("en").vocab, words=["w"] * length) for length in LENGTHS]
    tokens = Ragged(rng.normal(size=(sum(LENGTHS), 16)).astype("f"), np.array(LENGTHS))
    model.initialize(HeadInput(docs, tokens, []))
    for node in model.walk():
        for name in node.param_names:
            param = node.get_param(name)
            param += rng.normal(scale=0.3, size=param.shape).astype("f")
    return model, lambda pairs: HeadInput(docs, tokens, [], pairs)


@pytest.mark.parametrize("size", [2**14, 7])
@pytest.mark.parametrize("seed", range(3))
def test_the_scores_are_those_of_the_network_in_training(monkeypatch, seed, size):
    monkeypatch.setattr(pair_prediction, "BLOCK", size)
    rng = np.random.default_rng(seed)
    model, as_input = draw_network(rng)
    pairs = draw_pairs(rng)
    assert len(pairs.first) > 100
    assert (pairs.entities.ends[pairs.first] > pairs.entities.ends[pairs.second]).any()
    expected = model(as_input(pairs), is_train=True)[0].logits
    assert model.predict(as_input(pairs)).logits == pytest.approx(expected, abs=2e-5)
    pairs.possible = rng.random(2 * len(pairs.first)) < 0.4
    found = model.predict(as_input(pairs)).logits
    assert found[pairs.possible] == pytest.approx(expected[pairs.possible], abs=2e-5)
    assert not found[~pairs.possible].any()


@pytest.mark.parametrize("max_distance", [0, None])
def test_there_may_be_no_pair_and_no_direction(max_distance):
    rng = np.random.default_rng(0)
    model, as_input = draw_network(rng, n_extra=1)
    pairs = draw_pairs(rng, n_entities=2 if max_distance == 0 else 9, max_distance=max_distance)
    pairs.possible = np.zeros(2 * len(pairs.first), dtype=bool)
    assert model.predict(as_input(pairs)).logits.shape == (2 * len(pairs.first), 4)
    assert model.predict(as_input(None)).logits.shape == (0, 4)


def test_a_prediction_has_no_backprop():
    rng = np.random.default_rng(0)
    model, as_input = draw_network(rng)
    scores, backprop = model(as_input(draw_pairs(rng)), is_train=False)
    with pytest.raises(RuntimeError, match="no backprop after a prediction"):
        backprop(scores)


@pytest.mark.parametrize("threshold", [0.0, 1e-9, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("settings", [{}, {"symmetric": ["knows"]}, {"exclusive": True, "symmetric": ["in"]}])
def test_what_is_found_is_what_deciding_about_every_pair_finds(threshold, settings):
    rng = np.random.default_rng(1)
    types = {"job": [["PER", "ORG"]], "in": [["ORG", "LOC"], ["LOC", "LOC"]]}
    head = make_relation_extractor_v1(threshold=threshold, types=types, **settings)
    head.model.attrs.update(labels=LABELS, types=TYPES)
    pairs = draw_pairs(rng)
    scales = (30.0, 3.0, 1e-9) if threshold == 0.5 else (30.0, 3.0)
    for scale in scales:
        logits = rng.normal(scale=scale, size=(2 * len(pairs.first), 3 + head.exclusive)).astype("f")
        scores = RelationScores(logits, pairs)
        found = head.decode([], scores)
        probabilities, holds = head._decided(scores)
        rows, labels = np.nonzero(holds)
        assert np.array_equal(found.heads, pairs.heads[rows])
        assert np.array_equal(found.tails, pairs.tails[rows])
        assert np.array_equal(found.labels, labels)
        assert np.array_equal(found.scores, probabilities[rows, labels])


def test_directions_that_are_not_scored_are_not_found_and_teach_nothing():
    rng = np.random.default_rng(2)
    head = make_relation_extractor_v1(types={label: [["PER", "ORG"]] for label in LABELS}, threshold=0.3)
    head.model.attrs.update(labels=LABELS, types=TYPES)
    docs = [Doc(spacy.blank("en").vocab, words=["w"] * length) for length in LENGTHS]
    pairs = head._pairs(docs, draw_pairs(rng).entities)
    types = zip(pairs.types[pairs.heads].tolist(), pairs.types[pairs.tails].tolist(), strict=True)
    rows = {name: row for row, name in enumerate(TYPES, start=1)}
    expected = [0 in both or both == (rows["PER"], rows["ORG"]) for both in types]
    assert pairs.possible is not None
    assert pairs.possible.tolist() == expected
    assert not all(expected)
    scores = RelationScores(np.zeros((len(pairs.possible), 3), dtype="f"), pairs)
    assert len(head.decode(docs, scores).heads) == 3 * pairs.possible.sum()
    student = RelationScores(rng.normal(size=scores.logits.shape).astype("f"), pairs)
    loss, d_scores = head.get_teacher_loss(scores, student)
    assert not d_scores.logits[~pairs.possible].any()
    assert d_scores.logits[pairs.possible].all()
    part = student.logits[pairs.possible]
    expected_loss, _ = teacher_losses(np.full_like(part, 0.5), part, exclusive=False)
    assert loss * sum(LENGTHS) == pytest.approx(expected_loss, rel=1e-5)


def test_relations_are_written_as_set_relations_writes_them():
    nlp = spacy.blank("en")
    docs = [Doc(nlp.vocab, words=["w"] * length) for length in LENGTHS]
    spans = FoundSpans(*np.array([[0, 2, 4], [0, 5, 6], [3, 0, 2], [3, 7, 8]]).T, np.array([0, 2, 1, 2]), NAMES)
    columns = (np.array([0, 1, 3]), np.array([1, 0, 2]), np.array([0, 2, 1]), np.array([0.75, 0.5, 1.0]))
    FoundRelations(spans, *columns, tuple(LABELS)).write(docs, "found")
    found = [
        [((2, 4, "LOC"), (5, 6, "PER"), "in", 0.75), ((5, 6, "PER"), (2, 4, "LOC"), "knows", 0.5)],
        [],
        [],
        [((7, 8, "PER"), (0, 2, "ORG"), "job", 1.0)],
        [],
    ]
    for doc, own in zip(docs, found, strict=True):
        expected = [Relation(Span(doc, *head), Span(doc, *tail), label, score) for head, tail, label, score in own]
        set_relations(doc, expected, "expected")
        assert relations(doc, "found") == expected
        assert doc.spans["found"].attrs == doc.spans["expected"].attrs
        assert [span.label_ for span in doc.spans["found"]] == [span.label_ for span in doc.spans["expected"]]
        assert doc.spans["found"].name == "found"
