"""All token attributes of a doc are written at once, and are those that each head writes by itself."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.pipeline.writing import write_annotations
from spacy_mtl.protocols.fits import fits
from spacy_mtl.protocols.token_values import WritesTokens

ATTRS = ["TAG", "POS", "MORPH", "ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "SENT_START"]
WORDS = [["Ann", "sees", "Paris"], [], ["rain"], ["Bob", "sees", "dogs", "now"]]
HEADS = {
    **{attr: {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": attr} for attr in ("tag", "pos", "morph", "sent_start")},
    "entities": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"},
    "genre": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"},
}


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": HEADS})
    gold = Doc(
        nlp.vocab,
        words=WORDS[0],
        tags=["NNP", "VBZ", "NNP"],
        pos=["PROPN", "VERB", "PROPN"],
        morphs=["Number=Sing", "Number=Sing|Person=3", "_"],
        ents=["B-PERSON", "O", "B-GPE"],
        sent_starts=[True, False, False],
    )
    gold.cats = {"news": 1.0, "letter": 0.0}
    nlp.initialize(lambda: [Example(nlp.make_doc("Ann sees Paris"), gold)])
    return nlp


def written(docs):
    return [(doc.to_array(ATTRS).tolist(), dict(doc.cats)) for doc in docs]


def blank_docs(nlp):
    return [Doc(nlp.vocab, words=words) for words in WORDS]


def partly_annotated_docs(nlp):
    docs = blank_docs(nlp)
    docs[0][1].tag_ = "MD"
    docs[2][0].set_morph("Mood=Ind")
    docs[3].set_ents([Span(docs[3], 0, 1, label="DOG")])
    return docs


@pytest.mark.parametrize("make_docs", [blank_docs, partly_annotated_docs])
def test_together_as_head_by_head(nlp, make_docs):
    pipe = nlp.get_pipe("multitask")
    found = pipe.predict(blank_docs(nlp))
    docs, by_head = make_docs(nlp), make_docs(nlp)
    write_annotations(pipe.heads, docs, found)
    for name, head in pipe.heads.items():
        head.set_annotations(by_head, found[name])
    assert written(docs) == written(by_head)
    assert docs[3].has_annotation("TAG")
    if make_docs is partly_annotated_docs:
        assert docs[0][1].tag_ == "MD"
        assert docs[3].ents[0].label_ == "DOG"


def test_values_that_replace_what_is_there(nlp):
    pipe = nlp.get_pipe("multitask")
    found = {"tag": pipe.predict(blank_docs(nlp))["tag"]}
    docs = partly_annotated_docs(nlp)
    pipe.heads["tag"].overwrite = True
    try:
        write_annotations(pipe.heads, docs, found)
    finally:
        pipe.heads["tag"].overwrite = False
    expected = np.array(pipe.heads["tag"].labels)[found["tag"]].tolist()
    assert [token.tag_ for doc in docs for token in doc] == expected


def test_values_of_sentence_starts_depend_on_the_docs(nlp):
    heads = nlp.get_pipe("multitask").heads
    assert fits(heads["sent_start"], WritesTokens)
    assert not fits(heads["genre"], WritesTokens)
    assert heads["sent_start"].token_values(blank_docs(nlp), np.zeros(8, dtype="int64")) is None
