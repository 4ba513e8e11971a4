"""SwapEntities: which entities it may insert, which annotation it keeps, and that each pass draws new ones."""

import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.augmenters.swap_entities import make_swap_entities_v1

NLP = spacy.blank("en")


def make_example(words, ents, *, cats=None, **annotation):
    """ents: (start, end, label). Spaces are those of written English."""
    spaces = [following not in (".", ",", "'s") for following in [*words[1:], "."]]
    reference = Doc(NLP.vocab, words=words, spaces=spaces, **annotation)
    reference.set_ents([Span(reference, *ent) for ent in ents])
    reference.cats = cats or {}
    return Example(NLP.make_doc(reference.text), reference)


def spans_of(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def draw_texts(examples, *, level, n_passes=20):
    augmenter = make_swap_entities_v1(level)
    random.seed(0)
    return {eg.reference.text for _ in range(n_passes) for example in examples for eg in augmenter(NLP, example)}


def test_an_entity_gets_the_words_of_another_of_its_type():
    anna = make_example(["Anna", "Schmidt", "'s", "song", "."], [(0, 2, "PER")])
    berlin = make_example(["Ed", "is", "in", "Berlin", "."], [(0, 1, "PER"), (3, 4, "LOC")])
    texts = draw_texts([anna, berlin], level=1.0)
    assert texts == {"Anna Schmidt's song.", "Ed's song.", "Ed is in Berlin.", "Anna Schmidt is in Berlin."}


def test_entities_stay_where_they_are_in_the_sentence():
    long = make_example(["see", "the", "old", "man", "at", "noon"], [(1, 4, "FILM"), (5, 6, "TIME")])
    short = make_example(["see", "jaws", "now"], [(1, 2, "FILM"), (2, 3, "TIME")])
    augmenter = make_swap_entities_v1(1.0)
    random.seed(0)
    for _ in range(20):
        for example in (long, short):
            (eg,) = augmenter(NLP, example)
            assert [label for _, label in spans_of(eg.reference)] == ["FILM", "TIME"]
            assert {text for text, _ in spans_of(eg.reference)} <= {"the old man", "noon", "jaws", "now"}
            assert [token.text for token in eg.predicted] == [token.text for token in eg.reference]
            assert eg.reference.text.startswith("see ")
            assert not eg.predicted.ents


def test_values_come_from_docs_of_the_same_classes():
    book = make_example(["a", "novel"], [(1, 2, "KIND")], cats={"search": 1.0, "screen": 0.0})
    film = make_example(["a", "showing"], [(1, 2, "KIND")], cats={"search": 0.0, "screen": 1.0})
    assert draw_texts([book, film], level=1.0) == {"a novel", "a showing"}
    (eg,) = make_swap_entities_v1(1.0)(NLP, film)
    assert eg.reference.cats == film.reference.cats


def test_other_annotation_stays_at_the_other_tokens():
    tags, starts = ["NNP", "VBZ", "NN", "RB"], [True, False, True, False]
    one = make_example(["Ed", "runs", "home", "now"], [(0, 1, "PER")], tags=tags, sent_starts=starts)
    two = make_example(["Anna", "Schmidt"], [(0, 2, "PER")])
    one.reference.user_data["spacy_mtl.corpus"] = "news"
    augmenter = make_swap_entities_v1(1.0)
    random.seed(0)
    docs = [eg.reference for _ in range(20) for example in (two, one) for eg in augmenter(NLP, example)]
    doc = next(doc for doc in docs if doc.text.strip() == "Anna Schmidt runs home now")
    assert [token.tag_ for token in doc] == ["", "", "VBZ", "NN", "RB"]
    assert [token.is_sent_start for token in doc] == [True, False, False, True, False]
    assert doc.user_data["spacy_mtl.corpus"] == "news"


def test_tokens_that_nobody_has_annotated_stay_so():
    reference = Doc(NLP.vocab, words=["Ed", "met", "Anna"])
    reference.set_ents([Span(reference, 0, 1, "PER")], missing=[Span(reference, 1, 3)], default="outside")
    (eg,) = make_swap_entities_v1(1.0)(NLP, Example(NLP.make_doc("Ed met Anna"), reference))
    assert [token.ent_iob_ for token in eg.reference] == ["B", "", ""]


def test_level_is_the_share_of_docs():
    examples = [make_example(["see", name], [(1, 2, "X")]) for name in ("a", "b", "c", "d", "e", "f", "g", "h")]
    augmenter = make_swap_entities_v1(0.3)
    random.seed(0)
    changed = [eg is not example for _ in range(200) for example in examples for eg in augmenter(NLP, example)]
    assert sum(changed) / len(changed) == pytest.approx(0.3, abs=0.04)
    assert draw_texts(examples, level=0.0) == {eg.reference.text for eg in examples}


def test_entity_level_is_the_share_of_entities():
    names = [chr(ord("a") + i) for i in range(20)]
    examples = [
        make_example(["see", name, "in", name * 2], [(1, 2, "X"), (3, 4, "Y")], tags=["VB", "N", "IN", "N"])
        for name in names
    ]
    augmenter = make_swap_entities_v1(1.0, entity_level=0.3)
    random.seed(0)
    changed = []
    for example in examples * 200:
        (eg,) = augmenter(NLP, example)
        for new, old in zip(eg.reference.ents, example.reference.ents, strict=True):
            # an entity that stays keeps its tag
            changed.append(not new[0].tag_)
            assert new.text == old.text or not new[0].tag_
    assert sum(changed) / len(changed) == pytest.approx(0.3, abs=0.02)
    one_of_two = [sum(pair) for pair in zip(changed[::2], changed[1::2], strict=True)]
    assert one_of_two.count(1) / len(one_of_two) == pytest.approx(2 * 0.3 * 0.7, abs=0.03)


def test_a_doc_without_entities_passes_through():
    example = make_example(["nothing", "here"], [])
    assert list(make_swap_entities_v1(1.0)(NLP, example)) == [example]


@pytest.mark.parametrize("rate", [-0.1, 1.5])
@pytest.mark.parametrize("name", ["level", "entity_level"])
def test_a_level_that_is_no_probability(name, rate):
    with pytest.raises(ValueError, match=f"SwapEntities: {name} is {rate}, expected a number from 0 to 1"):
        make_swap_entities_v1(**{"level": 1.0, name: rate})
