"""Confidences, checked by enumeration for the CRF and by hand for other heads; and predictions written as gold."""

from itertools import pairwise, product

import numpy as np
import pytest
import spacy
from pipelines import TEXTS, make_examples, make_nlp, train
from silent_heads import without_confidence
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.crf.linear_chain import CRFScores, constrain
from spacy_mtl.crf.path_probability import path_probabilities
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi
from spacy_mtl.heads.doc_classifier.doc_classifier import DocClassifier, make_doc_classifier_v1
from spacy_mtl.heads.entity_recognizer import make_entity_recognizer_v1
from spacy_mtl.heads.tagger import make_tagger_v1
from spacy_mtl.protocols.head_confidence import SelfLabelling


def score_of(emissions, scores, tags):
    """The log-potential of one sequence of tags, step by step."""
    total = (
        scores.starts[tags[0]] + scores.ends[tags[-1]] + sum(emissions[place, tag] for place, tag in enumerate(tags))
    )
    return float(total + sum(scores.transitions[one, two] for one, two in pairwise(tags)))


@pytest.mark.parametrize(("kind", "n_labels"), [("BIO", 2), ("BILUO", 1)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_path_probability_is_that_of_all_sequences(kind, n_labels, scale):
    rng = np.random.default_rng(0)
    scheme = make_tag_scheme(kind, n_labels)
    lengths = np.array([3, 0, 1, 4, 2])
    n_tokens, n_tags = int(lengths.sum()), scheme.n_tags
    parts = [rng.normal(size=shape) * scale for shape in ((n_tokens, n_tags), (n_tags, n_tags), n_tags, n_tags)]
    raw = CRFScores(*(part.astype("f") for part in parts), lengths, np.arange(n_tokens))
    scores = constrain(raw, scheme)
    tags = viterbi(scores)
    found = path_probabilities(scores, tags)
    assert found[1] == 1.0
    offsets = np.cumsum([0, *lengths])
    for doc in (0, 2, 3, 4):
        emissions = scores.emissions[offsets[doc] : offsets[doc + 1]].astype("d")
        paths = product(range(n_tags), repeat=int(lengths[doc]))
        every = np.array([score_of(emissions, scores, path) for path in paths])
        mine = score_of(emissions, scores, tags[offsets[doc] : offsets[doc + 1]].tolist())
        assert mine == pytest.approx(every.max())
        assert found[doc] == pytest.approx(np.exp(mine - every.max()) / np.exp(every - every.max()).sum(), rel=1e-5)
        assert 0.0 < found[doc] <= 1.0


def test_probabilities_of_all_paths_sum_to_one():
    rng = np.random.default_rng(1)
    scheme = make_tag_scheme("BIO", 1)
    parts = [rng.normal(size=shape).astype("f") for shape in ((3, 3), (3, 3), 3, 3)]
    scores = constrain(CRFScores(*parts, np.array([3]), np.arange(3)), scheme)
    with np.errstate(all="raise"):
        paths = [np.array(path) for path in product(range(3), repeat=3)]
        total = sum(path_probabilities(scores, path)[0] for path in paths)
    assert total == pytest.approx(1.0)


def test_no_tokens_at_all():
    scores = CRFScores(
        np.zeros((0, 3), "f"), *(np.zeros(s, "f") for s in ((3, 3), 3, 3)), np.zeros(2, "i"), np.zeros(0)
    )
    assert path_probabilities(scores, np.zeros(0, dtype="int64")).tolist() == [1.0, 1.0]


def test_exclusive_classes():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], dtype="f"))
    assert make_doc_classifier_v1().confidence([], logits) == pytest.approx([0.7, 0.4])


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, [0.8, 0.6]), (0.3, [0.8, 0.4])])
def test_classes_that_are_not_exclusive(threshold, expected):
    probabilities = np.array([[0.9, 0.8], [0.4, 0.95]])
    logits = np.log(probabilities / (1 - probabilities)).astype("f")
    head = make_doc_classifier_v1(exclusive=False, threshold=threshold)
    assert head.confidence([], logits) == pytest.approx(expected)


def test_the_least_certain_token():
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=["a", "b"]), Doc(vocab), Doc(vocab, words=["a"])]
    logits = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.05, 0.95]], dtype="f"))
    assert make_tagger_v1().confidence(docs, logits) == pytest.approx([0.6, 1.0, 0.95])
    assert make_tagger_v1().confidence([Doc(vocab)], np.zeros((0, 2), "f")).tolist() == [1.0]


def test_certainty_never_rounds_up_to_one_early():
    assert make_doc_classifier_v1().confidence([], np.array([[20.0, 0.0]], dtype="f"))[0] < 1.0


@pytest.fixture(scope="module")
def trained():
    nlp = make_nlp()
    train(nlp, make_examples(nlp), steps=60)
    return nlp


def test_confidences_of_the_component(trained):
    pipe = trained.get_pipe("multitask")
    docs = list(trained.pipe(text for text, *_ in TEXTS))
    found = pipe.confidences(docs)
    assert set(found) == {"intent", "slots"}
    assert found["intent"] == pytest.approx([max(doc.cats.values()) for doc in docs])
    for values in found.values():
        assert values.shape == (len(TEXTS),)
        assert ((values > 0.5) & (values <= 1.0)).all()
    odd = list(trained.pipe(["qwertz uiop Berlin who", "  ", ""]))
    assert pipe.confidences(odd)["slots"][0] < found["slots"].min()
    assert pipe.confidences(odd)["slots"][1:].tolist() == [1.0, 1.0]
    assert {key: len(values) for key, values in pipe.confidences([]).items()} == {"intent": 0, "slots": 0}


def test_over_a_listener():
    nlp = make_nlp(listener=True)
    docs = list(nlp.pipe(text for text, *_ in TEXTS))
    found = nlp.get_pipe("multitask").confidences(docs)
    assert found["intent"] == pytest.approx([max(doc.cats.values()) for doc in docs], rel=1e-5)


def test_a_head_that_cannot_say_is_left_out():
    nlp = make_nlp()
    pipe = nlp.get_pipe("multitask")
    silent = object.__new__(without_confidence(DocClassifier))
    vars(silent).update(vars(pipe.heads["intent"]))
    pipe.heads["intent"] = silent
    docs = [nlp.make_doc("play Anna")]
    assert set(pipe.confidences(docs)) == {"slots"}


HEADS = {
    "classifier": (make_doc_classifier_v1(), ["a", "b"]),
    "prefixed": (make_doc_classifier_v1(label_prefix="x="), ["a", "b"]),
    "multilabel": (make_doc_classifier_v1(exclusive=False), ["a", "b"]),
    "entities": (make_entity_recognizer_v1(), ["PER", "LOC"]),
    "spans": (make_entity_recognizer_v1(spans_key="sc"), ["PER", "LOC"]),
    "tag": (make_tagger_v1("tag"), ["X", "Y"]),
    "pos": (make_tagger_v1("pos"), ["NOUN", "VERB"]),
    "morph": (make_tagger_v1("morph"), ["Case=Nom", "Number=Sing"]),
    "sents": (make_tagger_v1("sent_start"), []),
}


VALUES = {"tag": ("X", "Y"), "pos": ("NOUN", "VERB"), "morph": ("Case=Nom", "Number=Sing"), "sents": (True, False)}
SETTERS = {
    "tag": lambda token, value: setattr(token, "tag_", value),
    "pos": lambda token, value: setattr(token, "pos_", value),
    "morph": lambda token, value: token.set_morph(value),
    "sents": lambda token, value: setattr(token, "is_sent_start", value),
}


def predicted(nlp, kind, *, other=False):
    """A doc as the head would have annotated it; with `other`, in another way."""
    doc = Doc(nlp.vocab, words=["Anna", "Schmidt", "sings"], spaces=[True, True, False])
    span = spacy.tokens.Span(doc, 0, 1 if other else 2, "PER")
    first, second = (0.3, 0.7) if other else (0.8, 0.2)
    if kind in ("classifier", "multilabel"):
        doc.cats = {"a": first, "b": second, "z": 0.4}
    elif kind == "prefixed":
        doc.cats = {"x=a": first, "x=b": second, "a": 0.1}
    elif kind == "entities":
        doc.ents = [span]
    elif kind == "spans":
        doc.spans["sc"] = [span]
    else:
        for place, token in enumerate(doc):
            SETTERS[kind](token, VALUES[kind][(place + other) % 2])
    return doc


def with_labels(kind):
    head, labels = HEADS[kind]
    head.model.attrs["labels"] = labels or head.model.attrs["labels"]
    return head


@pytest.mark.parametrize("kind", HEADS)
def test_a_prediction_becomes_gold(kind):
    head = with_labels(kind)
    assert isinstance(head, SelfLabelling)
    one, two = spacy.blank("en"), spacy.blank("en")
    source = predicted(one, kind)
    assert head.same_annotation(source, predicted(two, kind))
    assert not head.same_annotation(source, predicted(two, kind, other=True))
    target = Doc(one.vocab, words=[token.text for token in source], spaces=[True, True, False])
    head.copy_annotation(source, target)
    assert head.is_correct(Example(source, target)) is True
    assert head.is_correct(Example(predicted(one, kind, other=True), target)) is False
    assert set(target.cats.values()) <= {0.0, 1.0}
    restored = Doc(two.vocab).from_bytes(target.to_bytes())
    assert head.is_correct(Example(predicted(two, kind), restored)) is True


@pytest.mark.parametrize("kind", HEADS)
def test_to_heads_that_learn_from_something_else_it_stays_missing(kind):
    nlp = spacy.blank("en")
    source = predicted(nlp, kind)
    target = Doc(nlp.vocab, words=[token.text for token in source], spaces=[True, True, False])
    head = with_labels(kind)
    head.copy_annotation(source, target)
    others = [with_labels(name) for name in HEADS]
    missing = [other.is_correct(Example(source, target)) is None for other in others]
    assert missing == [head.learns_from.isdisjoint(other.learns_from) for other in others]


def test_who_would_learn_anothers_labels():
    assert make_entity_recognizer_v1().learns_from == make_entity_recognizer_v1(spans_key="sc").learns_from
    assert make_tagger_v1("tag").learns_from != make_tagger_v1("pos").learns_from
