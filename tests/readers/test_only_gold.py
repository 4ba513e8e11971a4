"""A reader that leaves out docs from which no head can learn."""

import spacy
from multi import write
from pipelines import heads_config
from spacy.tokens import Doc
from spacy.util import registry

from spacy_mtl.readers.corpus import Corpus
from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1

CATS = ({"sport": 1.0, "art": 0.0}, {}, {"mood=glad": 1.0}, {"art": 1.0, "sport": 0.0})


def make_nlp(**heads):
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": heads_config(**heads)})
    return nlp


def make_path(folder):
    docs = []
    for number, cats in enumerate(CATS):
        doc = Doc(spacy.blank("en").vocab, words=["doc", str(number)])
        doc.cats = cats
        docs.append(doc)
    return write(folder / "docs.spacy", docs)


def numbers(examples):
    return [eg.reference[1].text for eg in examples]


def test_docs_without_gold_are_left_out_before_and_after_labels_are_known(tmp_path):
    nlp = make_nlp(mood={"kind": "DocClassifier", "label_prefix": "mood="})
    reader = registry.get("readers", "spacy_mtl.OnlyGold.v1")(Corpus(make_path(tmp_path)))
    assert numbers(reader(nlp)) == ["2"]
    nlp.get_pipe("multitask").add_label("glad")
    assert numbers(reader(nlp)) == ["2"]
    assert numbers(reader(spacy.blank("en"))) == []


def test_labels_that_are_known_decide(tmp_path):
    nlp = make_nlp(topic={"kind": "DocClassifier"})
    nlp.get_pipe("multitask").add_label("sport")
    reader = registry.get("readers", "spacy_mtl.OnlyGold.v1")(Corpus(make_path(tmp_path)))
    assert numbers(reader(nlp)) == ["0", "3"]


def test_a_corpus_of_several_leaves_them_out_after_its_label_map(tmp_path):
    nlp = make_nlp(topic={"kind": "DocClassifier", "label_prefix": "topic="}, slots={"kind": "EntityRecognizer"})
    section = {
        "reader": Corpus(make_path(tmp_path)),
        "heads": ["topic"],
        "label_map": {"sport": "topic=sport", "art": None},
        "only_gold": True,
    }
    assert numbers(make_multi_corpus_v1({"docs": section})(nlp)) == ["0", "3"]


def test_the_broken_file_is_named(tmp_path):
    (tmp_path / "bad.spacy").write_bytes(b"x")
    reader = registry.get("readers", "spacy_mtl.OnlyGold.v1")(Corpus(tmp_path / "bad.spacy"))
    try:
        list(make_multi_corpus_v1({"docs": {"reader": reader}})(make_nlp(topic={"kind": "DocClassifier"})))
    except ValueError as error:
        assert "bad.spacy" in str(error)
    else:
        raise AssertionError("it was read")
