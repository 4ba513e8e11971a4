"""Relations as objects, as they are stored, and as displaCy draws them."""

import re
import xml.etree.ElementTree as ET

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab

import spacy_mtl
from spacy_mtl.relation import Relation, set_relations

WORDS = "Ada Lovelace and Charles Babbage worked with the Analytical Society of Cambridge in 1833 .".split()
ADA, CHARLES, SOCIETY, CAMBRIDGE = (0, 2, "PER"), (3, 5, "PER"), (8, 12, "ORG"), (11, 12, "LOC")


def make_doc(*triples, spans=(ADA, CHARLES, SOCIETY), inner=True, words=WORDS):
    doc = Doc(Vocab(), words=words)
    doc.ents = [Span(doc, *span) for span in spans]
    if inner:
        doc.spans["entities"] = [Span(doc, *span) for span in (*spans, CAMBRIDGE)]
    set_relations(doc, [Relation(Span(doc, *h), Span(doc, *t), label, score) for h, label, t, score in triples])
    return doc


def read_back(doc):
    stored = DocBin(docs=[doc], store_user_data=False).to_bytes()
    return next(iter(DocBin().from_bytes(stored).get_docs(Vocab())))


def test_relations_are_stored_in_span_groups():
    doc = read_back(make_doc((ADA, "works_for", SOCIETY, 0.5), (SOCIETY, "in", CAMBRIDGE, 1.0)))
    first, second = spacy_mtl.relations(doc)
    assert (first.head.text, first.head.label_, first.label, first.score) == ("Ada Lovelace", "PER", "works_for", 0.5)
    assert first.tail.text == second.head.text == "Analytical Society of Cambridge"
    assert second.tail.label_ == "LOC"


def test_not_annotated_and_none_are_told_apart():
    assert "relations" in read_back(make_doc()).spans
    assert spacy_mtl.relations(read_back(make_doc())) == []
    assert spacy_mtl.relations(Doc(Vocab(), words=WORDS)) == []


def test_gold_needs_no_scores():
    doc = make_doc()
    spans = [Span(doc, *ADA), Span(doc, *SOCIETY)]
    doc.spans["relations"] = SpanGroup(doc, spans=spans, attrs={"labels": ["x"]})
    assert [relation.score for relation in spacy_mtl.relations(doc)] == [1.0]


@pytest.mark.parametrize(
    "attrs", [{}, {"labels": ["x", "y"]}, {"labels": ["x"], "scores": []}, {"labels": ["x"], "scores": [1.0, 1.0]}]
)
def test_a_broken_group_is_an_error(attrs):
    doc = make_doc()
    doc.spans["relations"] = SpanGroup(doc, spans=[Span(doc, *ADA), Span(doc, *SOCIETY)], attrs=attrs)
    with pytest.raises(ValueError, match=r"has (2 spans and \d|1) labels"):
        spacy_mtl.relations(doc)


def test_displacy_draws_entities_and_arrows():
    doc = make_doc((ADA, "works_for", SOCIETY, 1.0), (SOCIETY, "employs", ADA, 1.0), (ADA, "a<b", SOCIETY, 1.0))
    data = spacy_mtl.displacy_data(doc)
    words = [(word["text"], word["tag"]) for word in data["words"]]
    assert words == [
        ("Ada Lovelace", "PER"),
        ("and", ""),
        ("Charles Babbage", "PER"),
        ("worked with the", ""),
        ("Analytical Society of Cambridge", "ORG"),
        ("in 1833 .", ""),
    ]
    assert data["arcs"] == [
        {"start": 0, "end": 4, "label": "works_for, a&lt;b", "dir": "right"},
        {"start": 0, "end": 4, "label": "employs", "dir": "left"},
    ]


def test_long_text_between_entities_is_cut():
    doc = make_doc((ADA, "x", (39, 40, "PER"), 1.0), spans=[ADA], inner=False, words=["word"] * 40)
    words = [word["text"] for word in spacy_mtl.displacy_data(doc)["words"]]
    assert words == ["word word", *["word word word"] * 12, "word", "word"]


def test_an_argument_inside_another_has_no_arrow_of_its_own():
    doc = make_doc((SOCIETY, "in", CAMBRIDGE, 1.0), (ADA, "lives_in", CAMBRIDGE, 1.0))
    assert [arc["label"] for arc in spacy_mtl.displacy_data(doc)["arcs"]] == ["lives_in"]


@pytest.mark.parametrize("page", [False, True])
def test_the_drawing_is_well_formed(page):
    drawn = spacy_mtl.render_relations(make_doc((ADA, "a<b&c", SOCIETY, 1.0)), page=page)
    svg = re.search(r"<svg.*</svg>", drawn, flags=re.DOTALL)[0]
    assert "a<b&c" in "".join(ET.fromstring(svg).itertext())
    assert drawn.startswith("<!DOCTYPE html>") == page


def test_a_doc_without_anything_is_drawn():
    assert "<svg" in spacy_mtl.render_relations(spacy.blank("en")("nothing here"))
    assert "<svg" in spacy_mtl.render_relations(spacy.blank("en")(""))
