"""The public interface of the entity recognizer: partial gold, spans with probabilities, agreement with spaCy."""

import itertools

import numpy as np
import pytest
import spacy
from crf_cases import enumerate_paths, random_scores
from pipelines import ENCODER, TEXTS, heads_config, make_examples, make_nlp, train
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.span_probability import span_probabilities
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi
from spacy_mtl.heads.entity_recognizer import make_entity_recognizer_v1

SLOTS = heads_config(slots={"kind": "EntityRecognizer"})


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_learns_and_survives_reloading(scheme, tmp_path):
    nlp = make_nlp(heads_config(slots={"kind": "EntityRecognizer", "scheme": scheme}))
    train(nlp, make_examples(nlp))
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for text, _, spans in TEXTS:
        for pipeline in (nlp, loaded):
            assert [(ent.start_char, ent.end_char, ent.label_) for ent in pipeline(text).ents] == spans


def unset(example, *tokens):
    """The example with the gold entities of some tokens unset."""
    array = example.reference.to_array(["ENT_IOB", "ENT_TYPE"])
    array[list(tokens)] = 0
    example.reference.from_array(["ENT_IOB", "ENT_TYPE"], array)
    return example


def test_partial_gold_is_the_sum_over_its_completions():
    nlp = make_nlp(SLOTS)
    head = nlp.get_pipe("multitask").heads["slots"]
    docs = [eg.predicted for eg in make_examples(nlp)]
    scores = nlp.get_pipe("multitask").model.predict(docs)["slots"]
    text, _, _ = TEXTS[2]
    example = make_examples(nlp)[2]
    assert [t.text for t in example.predicted] == ["play", "Anna"]
    start = sum(len(doc) for doc in docs[:2])
    rows = slice(start, start + 2)
    part = type(scores)(scores.emissions[rows], *scores.potentials[1:], np.array([2]), np.arange(2))
    losses = []
    for label in (None, "GENRE", "LOC", "PER"):
        reference = nlp.make_doc(text)
        reference.set_ents([reference.char_span(5, 9, label=label)] if label else [], default="outside")
        losses.append(head.get_loss([Example(nlp.make_doc(text), reference)], part)[0])
    partial = head.get_loss([unset(example, 1)], part)[0]
    assert partial * 2 == pytest.approx(-np.logaddexp.reduce([-loss * 2 for loss in losses]), rel=1e-5)


def test_gold_that_is_all_unset_is_missing():
    nlp = make_nlp(SLOTS)
    examples = [unset(eg, *range(len(eg.reference))) for eg in make_examples(nlp)]
    assert nlp.update(examples)["multitask/slots"] == 0.0
    assert nlp.evaluate(examples)["slots_f"] is None


def test_partial_gold_is_enough_to_learn_from():
    nlp = make_nlp(SLOTS)
    examples = make_examples(nlp)
    unset(examples[0], 0, 3)
    unset(examples[1], 0)
    train(nlp, examples, steps=60)
    assert next((ent.text, ent.label_) for ent in nlp(TEXTS[0][0]).ents) == ("jazz", "GENRE")


def test_span_probabilities_equal_enumeration():
    for kind, n_labels in (("BIO", 2), ("BILUO", 1)):
        scheme = make_tag_scheme(kind, n_labels)
        scores = random_scores(scheme, seed=5)
        constrained = constrain(scores, scheme)
        tags = viterbi(constrained)
        starts, ends, labels = scheme.spans(tags)
        assert len(starts)
        found = span_probabilities(constrained, tags, starts, ends)
        firsts = np.cumsum(scores.lengths) - scores.lengths
        for start, end, label, probability in zip(starts, ends, labels, found, strict=True):
            doc = int(np.flatnonzero((firsts <= start) & (start < firsts + scores.lengths))[0])
            inside = total = 0.0
            for path, value in enumerate_paths(scores, scheme, doc):
                total += np.exp(value)
                spans = list(zip(*(array.tolist() for array in scheme.spans(np.array(path))), strict=True))
                inside += np.exp(value) * ((start - firsts[doc], end - firsts[doc], label) in spans)
            assert probability == pytest.approx(inside / total, rel=1e-8)


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_an_inside_that_is_far_ahead_leaves_loss_and_weights_finite(scheme):
    nlp = make_nlp(heads_config(slots={"kind": "EntityRecognizer", "scheme": scheme}))
    head = nlp.get_pipe("multitask").heads["slots"]
    head.model.layers[2].get_param("b")[head.tag_scheme.prefix == "I"] += 2000.0
    whole, partial = make_examples(nlp), [unset(eg, 1) for eg in make_examples(nlp)]
    for examples in (whole, partial):
        losses = train(nlp, examples, steps=2)
        assert np.isfinite(losses["multitask/slots"])
        assert losses["multitask/slots"] > 0
    assert np.isfinite(nlp.rehearse(whole, losses={})["multitask"])
    weights = [node.get_param(name) for node in head.model.walk() for name in node.param_names]
    assert all(np.isfinite(array).all() for array in weights)


def test_spans_key_writes_spans_with_scores_and_leaves_ents_alone(tmp_path):
    nlp = make_nlp(heads_config(slots={"kind": "EntityRecognizer", "spans_key": "slots"}))
    train(nlp, make_examples(nlp))
    nlp.to_disk(tmp_path)
    doc = spacy.load(tmp_path)(TEXTS[0][0])
    assert [(span.text, span.label_) for span in doc.spans["slots"]] == [("jazz", "GENRE"), ("Berlin", "LOC")]
    assert (np.asarray(doc.spans["slots"].attrs["scores"]) > 0.5).all()
    assert not doc.ents
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["spans_slots_f"] == scores["slots_f"] == 1.0
    assert "ents_f" not in scores
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert [span.text for span in again.spans["slots"]] == ["jazz", "Berlin"]


def test_two_recognizers_live_together_with_a_spans_key():
    heads = heads_config(one={"kind": "EntityRecognizer"}, two={"kind": "EntityRecognizer", "spans_key": "sc"})
    nlp = make_nlp(heads)
    train(nlp, make_examples(nlp))
    doc = nlp(TEXTS[1][0])
    assert [span.text for span in doc.ents] == [span.text for span in doc.spans["sc"]] == ["Anna Schmidt"]


def test_scores_agree_with_spacys_own():
    nlp = make_nlp(SLOTS)
    train(nlp, make_examples(nlp), steps=4)
    examples = make_examples(nlp)
    unset(examples[0], 4)
    for eg in examples:
        eg.predicted = nlp(eg.predicted)
    theirs = get_ner_prf(examples)
    ours = nlp.get_pipe("multitask").score(examples)
    assert {key: ours[key] for key in ("ents_p", "ents_r", "ents_f")} == {
        key: theirs[key] for key in ("ents_p", "ents_r", "ents_f")
    }
    assert ours["ents_per_type"] == theirs["ents_per_type"]


class CountingExample(Example):
    """Counts how often the alignment, which takes time for each token of the doc, is asked for."""

    n_asked = 0

    @property
    def alignment(self):
        self.n_asked += 1
        return super().alignment


@pytest.mark.parametrize("same_tokens", [True, False])
def test_how_often_docs_are_aligned_does_not_grow_with_their_entities(same_tokens):
    nlp = make_nlp(SLOTS)
    pipe = nlp.get_pipe("multitask")
    asked = []
    for n_words in (20, 200):
        words = ["jazz"] * n_words
        pieces = words if same_tokens else ["ja", "zz"] * n_words
        spaces = [True] * n_words if same_tokens else [False, True] * n_words
        predicted, reference = Doc(nlp.vocab, words=pieces, spaces=spaces), Doc(nlp.vocab, words=words)
        for doc, size in ((reference, 1), (predicted, len(pieces) // n_words)):
            doc.set_ents([Span(doc, start, start + size, label="GENRE") for start in range(0, len(doc), size)])
        eg = CountingExample(predicted, reference)
        assert pipe.score([eg])["slots_f"] == 1.0
        asked.append(eg.n_asked)
    assert asked[0] == asked[1] <= 2


@pytest.mark.parametrize(
    ("words", "spaces", "found", "f"),
    [
        (["play", "jazz", "Berlin"], [1, 0, 0], (1, 2), 0.0),
        (["play", "jazz", "Berlin"], [1, 0, 0], (2, 3), 0.0),
        (["play", "jazz", "Berlin"], [1, 0, 0], (1, 3), 1.0),
        (["pl", "ay", "jazzBerlin"], [0, 1, 0], (2, 3), 1.0),
        (["play", " ", "jazz", "Berlin"], [1, 0, 0, 0], (2, 4), 1.0),
        (["playjazz", "Berlin"], [0, 0], (0, 2), 0.0),
    ],
)
def test_spans_are_right_if_their_boundaries_agree_in_characters(words, spaces, found, f):
    nlp = make_nlp(SLOTS)
    pipe = nlp.get_pipe("multitask")
    predicted = Doc(nlp.vocab, words=words, spaces=spaces)
    reference = Doc(nlp.vocab, words=["play", "jazzBerlin"], ents=["O", "B-GENRE"])
    predicted.set_ents([Span(predicted, *found, label="GENRE")])
    scores = pipe.score([Example(predicted, reference)])
    assert scores["slots_f"] == scores["multitask_exact"] == f
    reference.set_ents([], missing=[reference[1:2]])
    assert pipe.score([Example(predicted, reference)])["multitask_exact"] == 1.0


def test_chinese_words_over_character_tokens():
    nlp = spacy.blank("zh")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": SLOTS})
    text = "我想听周杰伦的青花瓷"
    reference = nlp.make_doc(text)
    spans = [(3, 6, "artist"), (7, 10, "song")]
    reference.set_ents([reference.char_span(*span) for span in spans], default="outside")
    gold = [Example(nlp.make_doc(text), reference)]
    nlp.initialize(lambda: gold)
    train(nlp, gold)
    assert [(ent.text, ent.label_) for ent in nlp(text).ents] == [("周杰伦", "artist"), ("青花瓷", "song")]


def test_condition_makes_slots_depend_on_the_intent():
    """With the intent's distribution fixed by hand, the emissions move by its projection."""
    nlp = make_nlp()
    pipe = nlp.get_pipe("multitask")
    assert [layer.name for layer in pipe.heads["slots"].model.layers] == ["dropout", "crf", "linear", "linear"]
    projection = pipe.heads["slots"].model.layers[3]
    docs = [nlp.make_doc("play jazz")]
    with_condition = pipe.model.predict(docs)
    weights = projection.get_param("W").copy()
    projection.get_param("W")[:] = 0.0
    without = pipe.model.predict(docs)
    row = with_condition["intent"][0]
    distribution = np.exp(row) / np.exp(row).sum()
    moved = with_condition["slots"].emissions - without["slots"].emissions
    assert moved == pytest.approx(np.tile(weights @ distribution, (2, 1)), abs=1e-5)


def test_decoded_tags_never_break_the_scheme():
    for kind in ("BIO", "BILUO"):
        scheme = make_tag_scheme(kind, 3)
        for seed in range(20):
            scores = random_scores(scheme, np.array([7, 1, 5]), seed=seed, size=5.0)
            tags, start = viterbi(constrain(scores, scheme)), 0
            for length in scores.lengths:
                path = tags[start : start + length]
                assert scheme.starts[path[0]]
                assert scheme.ends[path[-1]]
                assert all(scheme.allowed[a, b] for a, b in itertools.pairwise(path))
                start += length


def test_negative_labels_are_refused_by_name():
    nlp = make_nlp(SLOTS)
    negative = Example.from_dict(nlp.make_doc("play Anna"), {"entities": ["O", "U-!PER"]})
    message = "head 'slots': label '!PER' in doc 'play Anna ?' says what an entity is not"
    with pytest.raises(ValueError, match=message):
        nlp.update([*make_examples(nlp), negative], sgd=False)
    with pytest.raises(ValueError, match=message):
        nlp.initialize(lambda: [*make_examples(nlp), negative])


def test_a_doc_whose_entities_change_between_steps_is_seen_again():
    head = make_entity_recognizer_v1(consistent_with="topic")
    doc = spacy.blank("en").make_doc("a b c")
    example = Example(doc.copy(), doc)
    for label in ("X", "Y"):
        doc.ents = [Span(doc, 0, 1, label=label)]
        head.update_constraints([example, example], ["t", "t"])
    assert head.model.attrs["seen_types"].kinds == {("t", ("X",)), ("t", ("Y",))}
