"""The span classifier against spaCy's `spancat`: what is suggested, written and scored."""

import numpy as np
import pytest
import spacy
from pipelines import heads_config, make_nlp, train
from spacy.pipeline.spancat import build_ngram_suggester, spancat_score
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from thinc.api import NumpyOps, Ragged

from spacy_mtl.heads.span_classifier.span_classifier import make_span_classifier_v1
from spacy_mtl.heads.span_classifier.span_network import Candidates, SpanScores

TEXTS = ["the old bank of England opened today", "a bank", "", "Anna of the bank left", "nobody knows her here"]
SPANS = [[(0, 5, "ORG"), (4, 5, "LOC"), (4, 5, "NAME")], [(0, 2, "ORG")], [], [(0, 1, "NAME"), (2, 4, "ORG")], None]
HEADS = heads_config(spans={"kind": "SpanClassifier"})


def make_examples(nlp, key="sc"):
    """Nested spans; the last doc is not annotated."""
    found = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in TEXTS]
    for eg, spans in zip(found, SPANS, strict=True):
        if spans is not None:
            group = [Span(eg.reference, start, end, label=label) for start, end, label in spans]
            eg.reference.spans[key] = SpanGroup(eg.reference, name=key, spans=group)
    return found


def suggester_config(name, **settings):
    return {"@misc": f"spacy.{name}.v1", **settings}


def nlp_with(**settings):
    return make_nlp(heads_config(spans={"kind": "SpanClassifier", **settings}), examples=make_examples)


def head_of(nlp):
    return nlp.get_pipe("multitask").heads["spans"]


def places(group):
    return [(span.start, span.end, span.label_) for span in group]


@pytest.mark.parametrize("sizes", [[1, 2, 3], [2], [9]])
def test_candidates_are_spacys_and_those_of_a_double_loop(sizes):
    nlp = nlp_with(suggester=suggester_config("ngram_suggester", sizes=sizes))
    docs = list(nlp.tokenizer.pipe(TEXTS))
    found = head_of(nlp).prepare(docs, None, {})
    rows = list(zip(found.docs.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True))
    looped = [
        (index, start, end)
        for index, doc in enumerate(docs)
        for start in range(len(doc))
        for end in range(start + 1, len(doc) + 1)
        if end - start in sizes
    ]
    assert rows == looped
    theirs = build_ngram_suggester(sizes)(docs, ops=NumpyOps())
    assert set(rows) == {
        (index, *place) for index, part in enumerate(theirs) for place in part.dataXd.reshape(-1, 2).tolist()
    }


def test_preset_spans_are_suggested_once_and_their_absence_is_named():
    nlp = spacy.blank("en")
    heads = heads_config(
        spans={"kind": "SpanClassifier", "suggester": suggester_config("preset_spans_suggester", spans_key="pre")}
    )
    examples = make_examples(nlp)
    for eg in examples:
        n = len(eg.predicted)
        eg.predicted.spans["pre"] = [eg.predicted[0:n], eg.predicted[0:n]] if n else []
    nlp.add_pipe("multitask", config={"heads": heads})
    nlp.initialize(lambda: examples)
    found = head_of(nlp).prepare([eg.predicted for eg in examples], None, {})
    assert found.ends.tolist() == [7, 2, 5, 4]
    with pytest.raises(
        ValueError, match=r"head 'spans': its suggester needs .* in all docs; run the pipe that sets it"
    ):
        nlp("a bank")


@pytest.mark.parametrize(
    ("settings", "threshold", "max_positive"),
    [({}, 0.5, None), ({"threshold": 0.2, "max_positive": 2}, 0.2, 2), ({"max_positive": 1}, 0.5, 1)],
)
def test_writes_what_spancat_writes_from_the_same_scores(settings, threshold, max_positive):
    nlp = nlp_with(**settings)
    docs = list(nlp.tokenizer.pipe(TEXTS))
    head = head_of(nlp)
    candidates = head.prepare(docs, None, {})
    logits = np.random.default_rng(0).normal(size=(len(candidates.docs), 3)).astype("f") * 2
    head.set_annotations(docs, head.decode(docs, SpanScores(logits, candidates, 18)))
    theirs = spacy.blank("en").add_pipe("spancat", config={"threshold": threshold, "max_positive": max_positive})
    for label in head.labels:
        theirs.add_label(label)
    copies = list(nlp.tokenizer.pipe(TEXTS))
    lengths = np.bincount(candidates.docs, minlength=len(docs))
    indices = Ragged(np.column_stack([candidates.starts, candidates.ends]), lengths)
    theirs.set_annotations(copies, (indices, 1 / (1 + np.exp(-logits))))
    for doc, copy in zip(docs, copies, strict=True):
        assert places(doc.spans["sc"]) == places(copy.spans["sc"])
        expected = np.ravel(copy.spans["sc"].attrs.get("scores", []))
        assert doc.spans["sc"].attrs["scores"] == pytest.approx(expected, abs=1e-6)
    assert sum(len(doc.spans["sc"]) for doc in docs) > 10


def test_without_overlap_the_most_probable_spans_stay():
    head = make_span_classifier_v1(max_positive=1, allow_overlap=False)
    head.add_label("A")
    spans = Candidates.of([np.array([(0, 0, 2), (0, 1, 3), (0, 3, 4), (1, 0, 2), (1, 1, 2)])])
    found = head.decode([], SpanScores(np.array([[1.0], [2.0], [0.5], [3.0], [2.0]], dtype="f"), spans, 9))
    assert list(zip(found.docs, found.starts, found.ends, strict=True)) == [(0, 1, 3), (0, 3, 4), (1, 0, 2)]


def test_scores_are_spacys():
    nlp = nlp_with()
    train(nlp, make_examples(nlp), steps=25)
    examples = make_examples(nlp)
    scores = nlp.evaluate(examples)
    for eg in examples:
        eg.predicted = nlp(eg.predicted)
    theirs = spancat_score(examples, spans_key="sc")
    assert theirs["spans_sc_f"] > 0.0
    assert {key: scores[key] for key in theirs} == theirs
    assert scores["spans_f"] == scores["multitask_score"] == theirs["spans_sc_f"]


def test_loss_equals_the_formula():
    nlp = nlp_with(negative_weight=0.25)
    head, examples = head_of(nlp), make_examples(nlp)
    docs = [eg.predicted for eg in examples]
    spans = head.prepare(docs, None, {})
    logits = np.random.default_rng(0).normal(size=(len(spans.docs), 3)).astype("f")
    n_tokens = sum(map(len, docs))
    loss, gradient = head.get_loss(examples, SpanScores(logits, spans, n_tokens))
    expected = 0.0
    for row, (doc, start, end) in enumerate(zip(spans.docs, spans.starts, spans.ends, strict=True)):
        gold = SPANS[doc]
        if gold is None:
            assert not gradient.logits[row].any()
            continue
        labels = {label for first, last, label in gold if (first, last) == (start, end)}
        each = [
            np.log1p(np.exp(-z if label in labels else z)) for label, z in zip(head.labels, logits[row], strict=True)
        ]
        expected += sum(each) * (1.0 if labels else 0.25)
    assert loss == pytest.approx(expected / n_tokens, rel=1e-5)


def test_learns_nested_spans_and_survives_reloading(tmp_path):
    nlp = nlp_with()
    train(nlp, make_examples(nlp), steps=80)
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["spans_r"] == pytest.approx(5 / 6)  # one has five tokens, more than are suggested
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    expected = [places(doc.spans["sc"]) for doc in nlp.pipe(TEXTS)]
    assert sum(map(len, expected)) > 3
    assert [places(doc.spans["sc"]) for doc in loaded.pipe(TEXTS)] == expected
    assert [places(doc.spans["sc"]) for doc in loaded.pipe(TEXTS, n_process=2)] == expected
    stored = DocBin(docs=nlp.pipe(TEXTS)).to_bytes()
    restored = list(DocBin().from_bytes(stored).get_docs(spacy.blank("en").vocab))
    assert [places(doc.spans["sc"]) for doc in restored] == expected
    assert len(restored[0].spans["sc"].attrs["scores"]) == len(expected[0])


def with_ents(nlp):
    """Entities are the places of the spans, one label each, and none where a doc is not annotated."""
    examples = make_examples(nlp)
    for eg, spans in zip(examples, SPANS, strict=True):
        if spans is not None:
            taken = [Span(eg.reference, start, end, label="X") for start, end, label in spans if label != "ORG"]
            eg.reference.set_ents(spacy.util.filter_spans(taken), default="outside")
    return examples


def test_spans_of_a_recognizer_are_classified():
    heads = heads_config(ner={"kind": "EntityRecognizer"}, spans={"kind": "SpanClassifier", "depends_on": "ner"})
    nlp = make_nlp(heads, examples=with_ents)
    examples = with_ents(nlp)
    docs = [eg.predicted for eg in examples]
    trained = head_of(nlp).prepare(docs, examples, {"ner": nlp.get_pipe("multitask").predict(docs)["ner"]})
    gold = {(0, 0, 5), (0, 4, 5), (1, 0, 2), (3, 0, 1), (3, 2, 4)}
    assert gold <= set(zip(trained.docs.tolist(), trained.starts.tolist(), trained.ends.tolist(), strict=True))
    train(nlp, examples, steps=80)
    doc = nlp(TEXTS[0])
    assert [(ent.start, ent.end) for ent in doc.ents] == [(4, 5)]
    assert places(doc.spans["sc"]) == [(4, 5, "LOC"), (4, 5, "NAME")]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"spans": {"kind": "SpanClassifier", "depends_on": "no"}}, "depends_on names 'no'"),
        (
            {"spans": {"kind": "SpanClassifier", "depends_on": "spans"}},
            "head 'spans': depends_on names the head itself",
        ),
        (
            {"topic": {"kind": "DocClassifier"}, "spans": {"kind": "SpanClassifier", "depends_on": "topic"}},
            "a DocClassifier finds no spans",
        ),
        (
            {"a": {"kind": "SpanClassifier"}, "b": {"kind": "SpanClassifier"}},
            r"doc.spans\['sc'\] is also predicted by head 'a'; give one of them another spans_key",
        ),
    ],
)
def test_heads_that_can_not_be(heads, message):
    with pytest.raises(ValueError, match=message):
        make_nlp(heads_config(**heads), examples=lambda nlp: make_examples(nlp))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"max_positive": 0}, "max_positive is 0"),
        ({"allow_overlap": False}, "set max_positive = 1"),
        ({"negative_weight": -1.0}, "negative_weight is -1.0"),
        ({"pooling": []}, "pooling is empty"),
        ({"suggester": build_ngram_suggester([1]), "depends_on": "ner"}, "are both set"),
    ],
)
def test_settings_that_can_not_be(settings, message):
    with pytest.raises(ValueError, match=message):
        make_span_classifier_v1(**settings)


def test_an_unknown_label_is_named():
    nlp = nlp_with()
    (eg, *_) = make_examples(nlp)
    eg.reference.spans["sc"].append(Span(eg.reference, 1, 2, label="NEW"))
    with pytest.raises(ValueError, match="head 'spans': label 'NEW' in doc 'the old bank"):
        nlp.update([eg])
    assert "'NEW'" in head_of(nlp).find_mistake(eg)


def test_a_dropped_label_is_missing_gold():
    nlp = nlp_with()
    head, examples = head_of(nlp), make_examples(nlp)
    target = nlp.make_doc(TEXTS[0])
    head.rename_labels(examples[0].reference, target, {"NAME": "PLACE", "LOC": None})
    assert sorted(places(target.spans["sc"])) == [(0, 5, "ORG"), (4, 5, ""), (4, 5, "PLACE")]
    head.rename_labels(examples[0].reference, target, {"NAME": None, "LOC": None})
    docs = [examples[0].predicted]
    spans = head.prepare(docs, None, {})
    scores = SpanScores(np.ones((len(spans.docs), 3), dtype="f"), spans, 7)
    _, gradient = head.get_loss([Example(docs[0], target)], scores)
    assert [(spans.starts[row], spans.ends[row]) for row in np.flatnonzero(~gradient.logits.any(axis=1))] == [(4, 5)]
    docs[0].spans["sc"] = [Span(docs[0], 0, 5, label="ORG"), Span(docs[0], 4, 5, label="LOC")]
    assert head.is_correct(Example(docs[0], target))
    assert head.gold_labels(target) == {"ORG"}
    assert head.absent_labels(target) == set()


def test_gold_on_other_tokens_is_aligned():
    nlp = nlp_with()
    words = ["the", "old", "bank", "of", "Eng", "land", "opened", "today"]
    reference = Doc(nlp.vocab, words=words, spaces=[True] * 4 + [False, True, True, False])
    reference.spans["sc"] = [Span(reference, 4, 6, label="LOC"), Span(reference, 5, 6, label="NAME")]
    eg = Example(nlp.make_doc(TEXTS[0]), reference)
    places_found, _ = head_of(nlp)._gold([eg])
    assert places_found.tolist() == [[0, 4, 5]]
    eg.predicted.spans["sc"] = [Span(eg.predicted, 4, 5, label="LOC")]
    assert head_of(nlp).score([eg])["r"] == 0.5


def test_two_labels_at_one_place_are_two_decisions():
    nlp = nlp_with()
    (eg, *_) = make_examples(nlp)
    eg.predicted.spans["sc"] = [Span(eg.predicted, 4, 5, label="LOC"), Span(eg.predicted, 4, 5, label="ORG")]
    found = head_of(nlp).decisions([eg])
    names = (*found.names, None)
    assert [(names[gold], names[predicted]) for gold, predicted in zip(found.gold, found.predicted, strict=True)] == [
        ("ORG", None),
        ("LOC", "LOC"),
        ("NAME", "ORG"),
    ]


def test_confidence_is_of_the_least_certain_label():
    head = make_span_classifier_v1()
    head.add_label("A")
    spans = Candidates.of([np.array([(0, 0, 1), (0, 1, 2), (2, 0, 1)])])
    docs = list(spacy.blank("en").tokenizer.pipe(["a b", "", "c"]))
    found = head.confidence(docs, SpanScores(np.log([[4.0], [1 / 9], [1 / 3]]), spans, 3))
    assert found == pytest.approx([0.8, 1.0, 0.75])
