"""Soft targets: gradients by finite differences, one-hot targets against gold, labels by name, docs without targets."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from pipelines import heads_config, make_nlp
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.crf.linear_chain import CRFScores
from spacy_mtl.pipeline.prediction import run_to_predict
from spacy_mtl.protocols.soft_targets import GivesTargets, LearnsFromTargets, SoftTarget

KINDS = {
    "exclusive": {"kind": "DocClassifier"},
    "independent": {"kind": "DocClassifier", "exclusive": False},
    "tokens": {"kind": "Tagger"},
    "chain": {"kind": "EntityRecognizer"},
    "biluo": {"kind": "EntityRecognizer", "scheme": "BILUO"},
}
WORDS = [["play", "jazz", "in", "New", "York"], ["who", "is", "Anna"], ["Rome"], ["ask", " ", "him"]]


def make_gold(nlp):
    examples = []
    ents = [["O", "B-GENRE", "O", "B-LOC", "I-LOC"], ["O", "O", "B-PER"], ["B-LOC"], ["O", "O", "B-PER"]]
    tags = [["V", "N", "P", "N", "N"], ["W", "V", "N"], ["N"], ["V", "P", "N"]]
    for row, words in enumerate(WORDS):
        doc = Doc(nlp.vocab, words=words, ents=ents[row], tags=tags[row])
        doc.cats = {key: float(key == "ABC"[row % 3]) for key in "ABC"}
        examples.append(Example(Doc(nlp.vocab, words=words), doc))
    return examples


@pytest.fixture(scope="module", params=sorted(KINDS))
def case(request):
    """A head with random weights, its scores in double precision, and the gold."""
    nlp = make_nlp(heads_config(head=KINDS[request.param]), examples=make_gold)
    rng = np.random.default_rng(0)
    pipe = nlp.get_pipe("multitask")
    examples = make_gold(nlp)
    for node in pipe.heads["head"].model.walk():
        for name in node.param_names:
            if node.has_param(name):
                node.set_param(name, rng.normal(size=node.get_param(name).shape).astype("f"))
    docs = [eg.predicted for eg in examples]
    _, scores = run_to_predict(pipe.model, pipe.in_order(), pipe.pairs, docs, ["head"], name="multitask")
    return pipe.heads["head"], examples, doubled(scores["head"])


def arrays_of(scores):
    return list(scores.potentials) if isinstance(scores, CRFScores) else [scores]


def doubled(scores):
    if isinstance(scores, CRFScores):
        return scores.with_potentials(part.astype("d") for part in scores.potentials)
    return scores.astype("d")


def moved(scores, index, place, by):
    parts = [part.copy() for part in arrays_of(scores)]
    parts[index][place] += by
    return scores.with_potentials(parts) if isinstance(scores, CRFScores) else parts[0]


def one_hot(head, examples):
    """Targets that are as sure as the gold."""
    docs = [eg.reference for eg in examples]
    names = head.target_columns
    if head.target_kind in ("exclusive", "independent"):
        rows = [[200.0 * doc.cats[key] - 100.0 for key in names] for doc in docs]
        return [
            SoftTarget(head.target_kind, names, 1.0, np.arange(len(names))[None], np.array([row], dtype="f"))
            for row in rows
        ]
    if head.target_kind == "tokens":
        return [
            SoftTarget("tokens", names, 1.0, columns, np.ones(columns.shape, dtype="f"))
            for columns in (np.array([[names.index(token.tag_)] for token in doc]) for doc in docs)
        ]
    targets = []
    for doc in docs:
        gold = [token for token in doc if not token.is_space]
        found = [tag_of(head, token) for token in gold]
        columns = np.zeros((len(doc), 1), dtype="int64")
        values = np.zeros((len(doc), 1), dtype="f")
        for token, tag in zip(gold, found, strict=True):
            columns[token.i], values[token.i] = names.index(tag), 1.0
        steps = np.array([[names.index(a), names.index(b)] for a, b in itertools.pairwise(found)], dtype=int)
        targets.append(
            SoftTarget("chain", names, 1.0, columns, values, steps.reshape(-1, 2), np.ones(len(steps), dtype="f"))
        )
    return targets


def tag_of(head, token):
    if not token.ent_type_:
        return "O"
    begins = token.ent_iob_ == "B"
    ends = token.i + 1 == len(token.doc) or token.nbor().ent_iob_ != "I"
    prefix = (
        token.ent_iob_ if head.scheme == "BIO" else {(1, 1): "U", (1, 0): "B", (0, 1): "L", (0, 0): "I"}[begins, ends]
    )
    return f"{prefix}-{token.ent_type_}"


def soft(head, examples, scores, temperature):
    """Targets of a teacher with other scores."""
    rng = np.random.default_rng(1)
    parts = [part + rng.normal(size=part.shape) for part in arrays_of(scores)]
    teacher = scores.with_potentials(parts) if isinstance(scores, CRFScores) else parts[0]
    return head.soft_targets([eg.predicted for eg in examples], teacher, temperature=temperature, top=99)


def test_the_protocols_are_met(case):
    head, _, _ = case
    assert isinstance(head, GivesTargets)
    assert isinstance(head, LearnsFromTargets)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_gradient_is_that_of_the_loss(case, temperature):
    head, examples, scores = case
    docs = [eg.predicted for eg in examples]
    targets = [*soft(head, examples, scores, temperature)[:2], None, soft(head, examples, scores, temperature)[3]]
    weights = np.array([1.0, 0.25, 1.0, 0.5])
    loss, gradient = head.get_target_loss(docs, targets, scores, weights)
    assert loss > 0
    rng = np.random.default_rng(2)
    for index, part in enumerate(arrays_of(gradient)):
        for _ in range(12):
            place = tuple(rng.integers(size) for size in part.shape)
            up, down = (
                head.get_target_loss(docs, targets, moved(scores, index, place, by), weights)[0] for by in (1e-4, -1e-4)
            )
            assert part[place] == pytest.approx((up - down) / 2e-4, abs=1e-6)


def test_a_teacher_without_doubt_is_gold(case):
    head, examples, scores = case
    loss, gradient = head.get_target_loss(
        [eg.predicted for eg in examples], one_hot(head, examples), scores, np.ones(4)
    )
    gold_loss, gold = head.get_loss(examples, scores)
    assert loss == pytest.approx(gold_loss, abs=1e-6)
    for mine, theirs in zip(arrays_of(gradient), arrays_of(gold), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_a_doc_without_a_target_gets_no_gradient(case):
    head, examples, scores = case
    docs = [eg.predicted for eg in examples]
    assert head.get_target_loss(docs, [None] * 4, scores, np.ones(4)) == (0.0, None)
    targets = [soft(head, examples, scores, 1.0)[0], None, None, None]
    _, gradient = head.get_target_loss(docs, targets, scores, np.ones(4))
    rows = arrays_of(gradient)[0]
    n_first = 1 if head.target_kind in ("exclusive", "independent") else len(docs[0])
    assert rows[:n_first].any()
    assert not rows[n_first:].any()


def test_the_least_loss_is_at_the_teacher(case):
    head, examples, scores = case
    docs = [eg.predicted for eg in examples]
    targets = head.soft_targets(docs, scores, temperature=2.0, top=99)
    _, gradient = head.get_target_loss(docs, targets, scores, np.ones(4))
    for part in arrays_of(gradient):
        np.testing.assert_allclose(part, 0.0, atol=2e-3)


def test_labels_are_matched_by_name(case):
    head, examples, scores = case
    docs = [eg.predicted for eg in examples]
    target = soft(head, examples, scores, 1.0)[0]
    order = np.random.default_rng(3).permutation(len(target.labels))
    place = np.argsort(order)
    shuffled = replace(
        target,
        labels=tuple(target.labels[i] for i in order),
        columns=place[target.columns],
        steps=place[target.steps],
    )
    for one, other in zip(
        *(
            arrays_of(head.get_target_loss(docs, [t, None, None, None], scores, np.ones(4))[1])
            for t in (target, shuffled)
        ),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_labels_that_the_head_lacks_are_named(case):
    head, examples, scores = case
    target = replace(soft(head, examples, scores, 1.0)[0], labels=tuple(f"{label}x" for label in head.target_columns))
    with pytest.raises(ValueError, match=r"head 'head': its teacher's labels .*The teacher has .*the head .*"):
        head.get_target_loss([eg.predicted for eg in examples], [target, None, None, None], scores, np.ones(4))


def test_labels_that_the_teacher_lacks_get_no_gradient(case):
    head, examples, scores = case
    last = head.labels[-1]
    columns = [c for c, name in enumerate(head.target_columns) if last not in head.labels_of_columns([name])]
    target = soft(head, examples, scores, 1.0)[0]
    kept = np.isin(target.columns, columns)
    renumber = np.full(len(target.labels), 0)
    renumber[columns] = np.arange(len(columns))
    is_doc = head.target_kind in ("exclusive", "independent")
    steps_kept = np.isin(target.steps, columns).all(axis=1)
    fewer = replace(
        target,
        labels=tuple(target.labels[c] for c in columns),
        columns=renumber[target.columns[:, kept[0]]] if is_doc else renumber[target.columns],
        values=target.values[:, kept[0]] if is_doc else target.values * kept,
        steps=renumber[target.steps[steps_kept]],
        counts=target.counts[steps_kept],
    )
    _, gradient = head.get_target_loss([eg.predicted for eg in examples], [fewer, None, None, None], scores, np.ones(4))
    others = [c for c in range(len(head.target_columns)) if c not in columns]
    assert not arrays_of(gradient)[0][:, others].any()
    assert arrays_of(gradient)[0][:, columns].any()
