"""The metrics of docs that were judged once are those of spaCy's scorer, for all docs and for any of them."""

import json

import numpy as np
import pytest
import spacy
from spacy.scorer import PRFScore, Scorer, get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.gold import is_same_tokenization, token_values, unannotated
from spacy_mtl.heads.doc_classifier.doc_classifier import make_doc_classifier_v1
from spacy_mtl.heads.entity_recognizer import make_entity_recognizer_v1
from spacy_mtl.heads.tagger import ATTR_IDS, make_tagger_v1
from spacy_mtl.protocols.doc_verdicts import CountsDocs, GivesVerdicts

N_DOCS = 40
TAGS, POS, MORPHS = ["", "A", "B"], ["", "NOUN", "VERB"], ["", "_", "Number=Sing", "Case=Nom|Number=Plur", "Case=Acc"]
TYPES = ["", "PER", "LOC", "UNSEEN"]


def random_doc(vocab, rng, words, *, gold):
    """A doc with random annotation of every kind; gold docs lack some or all of it."""
    n = len(words)
    doc = Doc(
        vocab,
        words=words,
        tags=rng.choice(TAGS[0 if gold else 1 :], n).tolist(),
        pos=rng.choice(POS, n).tolist(),
        morphs=rng.choice(MORPHS, n).tolist(),
        sent_starts=[bool(start) for start in rng.random(n) < 0.4],
    )
    if gold and rng.random() < 0.2:
        doc.from_array(["TAG", "POS", "MORPH", "SENT_START"], np.zeros((n, 4), dtype="uint64"))
    starts = sorted(rng.choice(n, min(n, 3), replace=False).tolist())
    spans = [Span(doc, start, start + 1, label=rng.choice(TYPES[1:])) for start in starts]
    if gold and rng.random() < 0.2:
        return doc
    doc.set_ents(spans[:-1], missing=spans[-1:] if gold else [], default="outside")
    return doc


@pytest.fixture(scope="module", params=["same tokens", "other tokens"])
def examples(request):
    rng = np.random.default_rng(0)
    vocab = spacy.blank("en").vocab
    made = []
    for number in range(N_DOCS):
        words = [f"w{number}{'x' * int(size)}" for size in rng.integers(0, 3, int(rng.integers(1, 9)))]
        if rng.random() < 0.3:
            words[-1] = "\n"
        pieces = words
        if request.param == "other tokens" and len(words) > 3:
            pieces = [words[0][:1], words[0][1:], words[1] + words[2], *words[3:]]
        spaces = [False] * len(words), [False] * len(pieces)
        gold, found = random_doc(vocab, rng, words, gold=True), random_doc(vocab, rng, pieces, gold=False)
        reference, predicted = (
            Doc(vocab, words=words, spaces=spaces[0]).from_array(ATTRS, gold.to_array(ATTRS)),
            Doc(vocab, words=pieces, spaces=spaces[1]).from_array(ATTRS, found.to_array(ATTRS)),
        )
        reference.cats, predicted.cats = gold_cats(rng), found_cats(rng)
        made.append(Example(predicted, reference))
    return made


ATTRS = ["TAG", "POS", "MORPH", "SENT_START", "ENT_IOB", "ENT_TYPE"]


def gold_cats(rng):
    """Exclusive gold: complete, a single key, soft, a class never seen, classes ruled out, nothing, other heads'."""
    return [
        {"x.a": 1.0, "x.b": 0.0, "x.c": 0.0},
        {"x.a": 0.0, "x.b": 0.0, "x.c": 1.0},
        {"x.b": 1.0},
        {"x.b": 0.5, "x.a": 0.5},
        {"x.a": 0.0, "x.b": 0.0, "x.c": 0.0, "x.new": 1.0},
        {"x.a": 0.0},
        {},
        {"y.a": 1.0},
    ][rng.integers(8)]


def found_cats(rng):
    """Random probabilities in any order, some of them equal."""
    keys = rng.permutation(["x.a", "x.b", "x.c"]).tolist()
    return dict(zip(keys, np.round(rng.dirichlet([1, 1, 1]), 1).tolist(), strict=True))


def classifier(**settings):
    head = make_doc_classifier_v1(label_prefix="x.", **settings)
    head.model.attrs["labels"] = ["a", "b", "c"]
    return head


def recognizer(**settings):
    head = make_entity_recognizer_v1(**settings)
    head.model.attrs["labels"] = ["LOC", "PER"]
    return head


HEADS = {
    "exclusive": classifier(),
    "multilabel": classifier(exclusive=False, threshold=0.3),
    "entities": recognizer(),
    **{attr: make_tagger_v1(attr) for attr in ATTR_IDS},
}
SUBSETS = [np.arange(N_DOCS), np.arange(0, N_DOCS, 2), np.array([5, 3, 8]), np.array([0])]


def as_text(scores):
    """To compare with NaN, which an area under a curve is where gold has one value."""
    return json.dumps(scores, sort_keys=True)


def scores_of_classes(examples, exclusive):
    """spaCy's scores of the docs for which each class is known to apply or not."""
    keys = ("x.a", "x.b", "x.c")

    def known(doc, attr):
        return doc.cats if any(doc.cats.get(key, 0.0) > 0 for key in keys) else {}

    annotated = [eg for eg in examples if any(key in eg.reference.cats for key in keys)]
    if exclusive:
        annotated = [eg for eg in annotated if eg.reference.cats != {"x.a": 0.0}]
        scores = Scorer.score_cats(annotated, "cats", labels=keys, multi_label=False, getter=known)
    else:
        scores = Scorer.score_cats(annotated, "cats", labels=keys, multi_label=True, threshold=0.3)
    return {key.removeprefix("cats_"): value for key, value in scores.items()} if annotated else {}


def scores_of_tokens(examples, attr):
    annotated = [eg for eg in examples if eg.reference.has_annotation(attr.upper())]
    if attr == "sent_start":
        scores = Scorer.score_spans(annotated, "sents", has_annotation=lambda doc: doc.has_annotation("SENT_START"))
        return {key: scores[f"sents_{key}"] for key in "prf"}
    getter = (lambda token, attr: token.morph.key) if attr == "morph" else getattr
    scores = Scorer.score_token_attr(annotated, attr, getter=getter)
    if attr == "morph":
        scores |= Scorer.score_token_attr_per_feat(annotated, attr, getter=getter)
    return {key: scores[f"{attr}_{key}"] for key in ("acc", "micro_f", "per_feat") if f"{attr}_{key}" in scores}


def scores_by_spacy(name, examples):
    if name in ("exclusive", "multilabel"):
        return scores_of_classes(examples, name == "exclusive")
    if name == "entities":
        scores = get_ner_prf(examples)
        return {key: scores[f"ents_{key}"] for key in "prf"} | {"f_per_type": scores["ents_per_type"]}
    return scores_of_tokens(examples, name)


@pytest.mark.parametrize("name", HEADS)
def test_scores_of_any_docs_are_those_of_spacys_scorer(name, examples):
    if name == "entities" and not all(map(is_same_tokenization, examples)):
        pytest.skip("spaCy moves predicted entities to the gold tokens, which counts a part of one as right")
    verdicts = HEADS[name].verdicts(examples)
    for rows in SUBSETS:
        chosen = [examples[row] for row in rows]
        found, expected = verdicts.scores(rows), scores_by_spacy(name, chosen)
        assert as_text({key: found[key] for key in expected}) == as_text(expected)
        assert as_text(HEADS[name].score(chosen)) == as_text(found)


@pytest.mark.parametrize("name", HEADS)
def test_the_main_score_of_summed_counts_is_the_main_score(name, examples):
    head = HEADS[name]
    assert isinstance(head, CountsDocs)
    assert isinstance(head, GivesVerdicts)
    counts = head.judge(examples)
    assert counts.dtype == np.float64
    groups = np.zeros((len(SUBSETS), N_DOCS))
    for group, rows in zip(groups, SUBSETS, strict=True):
        group[rows] = 1.0
    found = head.main_score_of(groups @ counts)
    expected = [head.score([examples[row] for row in rows])[head.main_score] for rows in SUBSETS]
    assert found.tolist() == pytest.approx([np.nan if score is None else score for score in expected], nan_ok=True)
    by_resample = head.main_score_of(np.stack([groups @ counts] * 2))
    assert by_resample.shape == (2, len(SUBSETS))
    assert head.main_score_of(counts.sum(axis=0)) == pytest.approx(expected[0])


@pytest.mark.parametrize("name", HEADS)
def test_docs_without_gold_count_nothing(name, examples):
    head = HEADS[name]
    longer = [eg for eg in examples if len(eg.reference) > 1][:3]
    bare = [Example(eg.predicted, unannotated(eg.reference, eg.reference.vocab)) for eg in longer]
    assert not head.judge(bare).any()
    assert head.judge([]).shape == (0, head.judge(bare).shape[1])
    assert np.isnan(head.main_score_of(head.judge(bare)).astype(float)).all()
    assert all(value is None for value in head.score(bare).values())
    assert [head.is_correct(eg) for eg in bare] == [None] * 3


@pytest.mark.parametrize("attr", ATTR_IDS)
def test_tokens_are_right_if_all_that_align_are(attr, examples):
    for eg in examples:
        gold = token_values(eg, attr.upper(), ATTR_IDS[attr])
        found = eg.predicted.to_array(ATTR_IDS[attr])
        expected = bool(((found == gold) | (gold == 0)).all()) if gold.any() else None
        assert HEADS[attr].is_correct(eg) is expected


def test_entities_of_other_tokens_are_compared_by_their_boundaries(examples):
    total = PRFScore()
    for eg in examples:
        if eg.reference.has_annotation("ENT_IOB"):
            sets = []
            for doc in (eg.reference, eg.predicted):
                ends = np.cumsum([0, *(len(token.text) for token in doc)])
                sets.append({(ends[ent.start], ends[ent.end], ent.label_) for ent in doc.ents})
            starts = np.cumsum([0, *(len(token.text) for token in eg.reference)])
            unset = [starts[token.i : token.i + 2] for token in eg.reference if token.ent_iob == 0]
            found = {span for span in sets[1] if not any(a < span[1] and span[0] < b for a, b in unset)}
            total.score_set(found, sets[0])
            assert HEADS["entities"].is_correct(eg) is (found == sets[0])
    scores = HEADS["entities"].score(examples)
    assert [scores[key] for key in "prf"] == list(total.to_dict().values())
