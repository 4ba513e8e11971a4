"""spacy_mtl.Tok2VecListener.v1 behaves like spaCy's listener."""

import numpy as np
import pytest
import spacy
from spacy.pipeline import tok2vec as spacy_tok2vec
from spacy.training import Example

from spacy_mtl.network.tok2vec_listener import Tok2VecListener

CONFIG = {
    "model": {
        "@architectures": "spacy_mtl.SharedEncoder.v1",
        "tok2vec": {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 96},
    }
}
TEXTS = ["Play some blues.", "", "weather in Oslo 🌧 tomorrow", " \n ", "我们 在 北京"]


def test_batch_id_is_that_of_spacy():
    docs = [spacy.blank("en")(text) for text in TEXTS]
    for batch in (docs, docs[::-1], docs[:1], docs[1:2], []):
        assert Tok2VecListener.get_batch_id(batch) == spacy_tok2vec.Tok2VecListener.get_batch_id(batch)


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec")
    nlp.add_pipe("multitask", config=CONFIG)
    nlp.initialize(lambda: [example(nlp)])
    return nlp


def example(nlp):
    gold = {"cats": {"music": 1.0, "weather": 0.0}, "entities": [(10, 15, "GENRE")]}
    return Example.from_dict(nlp.make_doc(TEXTS[0]), gold)


def test_the_upstream_pipe_learns_through_it(nlp):
    tok2vec = nlp.get_pipe("tok2vec")
    assert [type(listener) for listener in tok2vec.listeners] == [Tok2VecListener]
    table = next(node for node in tok2vec.model.walk() if node.name == "hashembed").get_param("E")
    before = table.copy()
    optimizer = nlp.resume_training()
    for _ in range(2):
        nlp.update([example(nlp)], sgd=optimizer)
    assert abs(table - before).max() > 0


def test_reloads_and_can_be_replaced(nlp):
    doc = nlp(TEXTS[2])
    again = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert again(TEXTS[2]).cats == doc.cats
    again.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    again.remove_pipe("tok2vec")
    assert again(TEXTS[2]).cats == pytest.approx(doc.cats)


def test_refuses_another_batch(nlp):
    multitask, docs = nlp.get_pipe("multitask"), [nlp.make_doc(TEXTS[0])]
    nlp.get_pipe("tok2vec").update([Example(doc, doc) for doc in docs])
    assert np.isfinite(multitask.encoder.begin_update(docs)[0].data).all()
    with pytest.raises(ValueError, match="E953"):
        multitask.encoder.begin_update([nlp.make_doc(TEXTS[2])])
