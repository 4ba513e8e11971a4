"""A training begins from a trained pipeline with other heads."""

import pytest
import spacy
from numpy.testing import assert_array_equal
from pipelines import ENCODER, JOINT, LISTENER, TEXTS, heads_config, make_examples, make_nlp, train, weights_of
from tiny_transformers import transformer_pipeline, write_bert

TAGGER = heads_config(pos={"kind": "Tagger", "attr": "pos"})


def tagged(nlp, more=()):
    found = make_examples(nlp)
    for eg in found:
        for token in eg.reference:
            token.pos_ = "NOUN"
        eg.reference.cats = eg.reference.cats | dict.fromkeys(more, 0.0)
    return found


def build(init_from, heads, *, listener=False, width=32, more=()):
    encoder = ENCODER | {"width": width}
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": encoder})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER if listener else encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    nlp.config["initialize"]["components"]["multitask"] = {"init_from": str(init_from)}
    nlp.initialize(lambda: tagged(nlp, more))
    return nlp


@pytest.fixture(scope="module", params=[False, True], ids=["own", "listener"])
def old(request, tmp_path_factory):
    """A trained pipeline, its folder, and whether it has a listener."""
    nlp = make_nlp(JOINT, listener=request.param)
    train(nlp, make_examples(nlp), steps=5)
    path = tmp_path_factory.mktemp("old")
    nlp.to_disk(path)
    return nlp, path, request.param


def test_old_heads_predict_the_same_and_new_ones_start_fresh(old, tmp_path):
    nlp, path, listener = old
    new = build(path, JOINT | TAGGER, listener=listener)
    for text, *_ in TEXTS:
        found, expected = new(text), nlp(text)
        assert found.cats == expected.cats
        assert [(ent.text, ent.label_) for ent in found.ents] == [(ent.text, ent.label_) for ent in expected.ents]
    assert new.get_pipe("multitask").label_data["pos"] == ["NOUN"]
    train(new, tagged(new), steps=2)
    new.to_disk(tmp_path)
    spacy.load(tmp_path)


def test_new_labels_come_after_the_old_ones(old):
    _, path, listener = old
    new = build(path, JOINT, listener=listener, more=["a_first"])
    assert new.get_pipe("multitask").label_data["intent"] == ["ask", "play", "a_first"]
    train(new, tagged(new, ["a_first"]), steps=1)


def test_a_sourced_pipe_stays_as_it_is(old):
    _, path, listener = old
    if not listener:
        pytest.skip("it is about listeners")
    other = make_nlp(JOINT, listener=True, tok2vec=ENCODER | {"depth": 2})
    expected = weights_of(other.get_pipe("tok2vec"))
    new = spacy.blank("en")
    new.add_pipe("tok2vec", source=other)
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
    new.add_pipe("multitask", config={"model": model, "heads": JOINT})
    new.config["initialize"]["components"]["multitask"] = {"init_from": str(path)}
    with new.select_pipes(disable=["tok2vec"]):
        new.initialize(lambda: tagged(new))
    found = weights_of(new.get_pipe("tok2vec"))
    for key, value in expected.items():
        assert_array_equal(found[key], value)


def test_transformer(tmp_path):
    """It is loaded if it has the same shape; another number of layers is an error."""
    pytest.importorskip("transformers")
    trained = transformer_pipeline(write_bert(tmp_path / "bert"), listener=False)
    train(trained, make_examples(trained), steps=2)
    trained.to_disk(tmp_path / "old")
    bert = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": str(tmp_path / "bert")}
    new = build_on(bert, tmp_path / "old")
    for text, *_ in TEXTS:
        assert new(text).cats == trained(text).cats
    with pytest.raises(ValueError, match=r"the encoder of component 'multitask' has another shape than in .*no such"):
        build_on(bert | {"name": write_bert(tmp_path / "other", layers=1)}, tmp_path / "old")


def build_on(tok2vec, path):
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT | TAGGER})
    nlp.config["initialize"]["components"]["multitask"] = {"init_from": str(path), "keep": {"intent": 1.0}}
    nlp.initialize(lambda: tagged(nlp))
    return nlp


def test_old_heads_need_no_gold(old):
    _, path, listener = old
    encoder = ENCODER if not listener else LISTENER
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT | TAGGER})
    nlp.config["initialize"]["components"]["multitask"] = {"init_from": str(path)}
    examples = make_examples(nlp, cats=False, ents=False)
    for eg in examples:
        for token in eg.reference:
            token.pos_ = "NOUN"
    nlp.initialize(lambda: examples)
    assert nlp.get_pipe("multitask").label_data["intent"] == ["ask", "play"]


def test_bad_input(old, tmp_path):
    _, path, listener = old
    with pytest.raises(ValueError, match="which is no trained pipeline"):
        build(tmp_path / "nothing", JOINT)
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ValueError, match="without a component multitask"):
        build(tmp_path / "blank", JOINT)
    with pytest.raises(ValueError, match=r"'slots' is a DocClassifier, but in .* it is a EntityRecognizer"):
        build(path, heads_config(slots={"kind": "DocClassifier"}), listener=listener)
    with pytest.raises(ValueError, match="same on both sides"):
        build(path, TAGGER, listener=not listener)
    if not listener:
        with pytest.raises(ValueError, match=r"another shape .* has shape \(.*\) here and shape \(.*\) there"):
            build(path, TAGGER, width=48)
