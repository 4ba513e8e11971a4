"""Adapters against their formula: which heads or corpora have one, what trains it, and which docs bypass it."""

import numpy as np
import pytest
import spacy
from multi import reader_of
from pipelines import ENCODER, JOINT, make_examples
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Ragged, fix_random_seed

from spacy_mtl.origin import corpus_of, mark, name_corpus
from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.samplers.proportional import make_proportional_v1
from spacy_mtl.sharing.adapters import PARAMS, make_adapters_v1


def made_layer(by, names, *, bypass=0.0):
    """An initialised layer for vectors of width 6, none of whose adapters is the identity."""
    fix_random_seed(0)
    layer = make_adapters_v1(by, width=2, bypass=bypass)
    layer.attrs["heads"], layer.attrs["corpora"] = (names, []) if by == "head" else (["one", "two"], names)
    layer.initialize(make_input(("a", 3)))
    rng = np.random.default_rng(0)
    for name in layer.param_names:
        layer.set_param(name, rng.normal(size=layer.get_param(name).shape).astype("f"))
    return layer


def make_input(*docs):
    """Docs, each given by its corpus and its number of tokens, with vectors of width 6."""
    vocab = spacy.blank("en").vocab
    made = [Doc(vocab, words=["x"] * n) for _, n in docs]
    for doc, (corpus, _) in zip(made, docs, strict=True):
        if corpus is not None:
            name_corpus(doc, corpus)
    lengths = np.array([n for _, n in docs], dtype="i")
    vectors = np.random.default_rng(1).normal(size=(lengths.sum(), 6)).astype("f")
    return SharingInput(made, Ragged(vectors, lengths))


def formula(layer, name, h):
    down_W, down_b, up_W, up_b = (layer.get_param(f"{name}/{param}") for param in PARAMS)
    normed = (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 1e-5)
    return h + np.maximum(normed @ down_W.T + down_b, 0) @ up_W.T + up_b


def test_each_head_has_its_own():
    layer, X = made_layer("head", ["one", "two"]), make_input((None, 2), (None, 0), (None, 3))
    views = layer.predict(X)
    for name in ("one", "two"):
        assert views[name].dataXd == pytest.approx(formula(layer, name, X.tokvecs.dataXd), abs=1e-5)
    assert not np.allclose(views["one"].dataXd, views["two"].dataXd)


def test_each_corpus_has_its_own_and_others_pass_through():
    layer = made_layer("corpus", ["a", "b"])
    X = make_input(("a", 2), ("new", 2), (None, 1), ("b", 3), ("a", 1))
    views, h = layer.predict(X), X.tokvecs.dataXd
    expected = h.copy()
    expected[[0, 1, 8]] = formula(layer, "a", h[[0, 1, 8]])
    expected[5:8] = formula(layer, "b", h[5:8])
    assert views["one"].dataXd == pytest.approx(expected, abs=1e-5)
    assert views["two"] is views["one"]
    assert np.array_equal(views["one"].dataXd[2:5], h[2:5])


def test_some_docs_pass_by_in_training_only():
    layer, X = made_layer("corpus", ["a"], bypass=0.5), make_input(*[("a", 2)] * 50)
    adapted = formula(layer, "a", X.tokvecs.dataXd)
    assert layer.predict(X)["one"].dataXd == pytest.approx(adapted, abs=1e-5)
    views, backprop = layer.begin_update(X)
    unchanged = (views["one"].dataXd == X.tokvecs.dataXd).all(axis=1)
    assert 20 < unchanged.sum() < 80
    assert np.array_equal(unchanged[::2], unchanged[1::2])
    assert views["one"].dataXd[~unchanged] == pytest.approx(adapted[~unchanged], abs=1e-5)
    gradient = backprop({"one": Ragged(X.tokvecs.dataXd, X.tokvecs.lengths)}).tokvecs.dataXd
    assert np.array_equal(gradient[unchanged], X.tokvecs.dataXd[unchanged])
    assert not np.allclose(gradient[~unchanged], X.tokvecs.dataXd[~unchanged])


def make_nlp(sharing, corpora=("a", "b")):
    """A pipeline, initialised from examples of the corpora in turn."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER, "sharing": sharing}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: of_corpora(nlp, *corpora))
    return nlp


def of_corpora(nlp, *corpora, **settings):
    found = make_examples(nlp, **settings)
    for place, eg in enumerate(found):
        if corpora:
            mark(eg.reference, corpora[place % len(corpora)])
            name_corpus(eg.predicted, corpora[place % len(corpora)])
    return found


def adapters(**settings):
    return {"@mtl_sharing": "spacy_mtl.Adapters.v1", **settings}


@pytest.mark.parametrize("by", ["head", "corpus"])
def test_new_adapters_change_nothing(by):
    shared, plain = make_nlp(adapters(by=by)), make_nlp(None)
    docs = [eg.predicted for eg in of_corpora(shared, "a", "b")]
    encoder = plain.get_pipe("multitask").encoder
    encoder.get_ref("encoder").from_bytes(shared.get_pipe("multitask").encoder.get_ref("encoder").to_bytes())
    tokvecs = encoder.predict(docs)
    views = shared.get_pipe("multitask").encoder.get_ref("sharing").predict(SharingInput(docs, tokvecs))
    assert all(np.array_equal(view.dataXd, tokvecs.dataXd) for view in views.values())


@pytest.mark.parametrize(("by", "still"), [("head", "slots"), ("corpus", "b")])
def test_what_gets_no_gradient_stays_exactly_as_it_was(by, still):
    """Momentum and weight decay would move it."""
    nlp = make_nlp(adapters(by=by))
    layer, optimizer = nlp.get_pipe("multitask").encoder.get_ref("sharing"), nlp.create_optimizer()
    for _ in range(3):
        nlp.update(of_corpora(nlp, "a", "b"), sgd=optimizer)
    before = {name: layer.get_param(name).copy() for name in layer.param_names}
    assert any(before[f"{still}/{param}"].any() for param in ("up_W", "up_b"))
    nlp.update(of_corpora(nlp, "a", ents=by == "corpus"), sgd=optimizer)
    moved = {name.split("/")[0] for name in before if not np.array_equal(layer.get_param(name), before[name])}
    assert moved == {"intent" if by == "head" else "a"}


def test_the_user_says_which_corpus_a_doc_is_of():
    nlp = make_nlp(adapters(by="corpus"))
    layer = nlp.get_pipe("multitask").encoder.get_ref("sharing")
    layer.set_param("b/up_b", layer.get_param("b/up_b") + 3.0)

    def cats(corpus):
        doc = nlp.make_doc("play Anna")
        if corpus:
            doc.user_data["spacy_mtl.corpus"] = corpus
        return nlp(doc).cats

    assert cats(None) == cats("unknown") == cats("a")
    assert cats("b") != cats("a")


def test_refused():
    for settings in ({"by": "doc"}, {"by": "head", "width": 0}, {"by": "corpus", "bypass": 1.0}):
        with pytest.raises(ValueError, match=f"Adapters: {list(settings)[-1]} is"):
            make_adapters_v1(**settings)
    with pytest.raises(ValueError, match=r"bypass is 0\.1, but by is 'head'"):
        make_adapters_v1("head", bypass=0.1)
    with pytest.raises(ValueError, match=r"no doc to initialise from names its corpus.*MultiCorpus"):
        make_nlp(adapters(by="corpus"), corpora=())


def test_the_reader_names_the_corpus_of_docs_to_predict():
    reader, nlp = reader_of({"a": 3, "b": 2}, None)
    examples = list(reader(nlp))
    assert [corpus_of(eg.predicted) for eg in examples] == [corpus_of(eg.reference) for eg in examples]
    docs = [eg.predicted.copy() for eg in examples]
    assert [corpus_of(doc) for doc in docs] == ["a"] * 3 + ["b"] * 2


def test_a_doc_that_two_corpora_share_is_copied():
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["shared"])
    shared = Example(doc, doc.copy())
    corpora = {name: {"reader": lambda nlp: [shared]} for name in "ab"}
    reader, _ = reader_of({"a": 1, "b": 1}, None, corpora=corpora)
    examples = list(reader(nlp))
    assert [corpus_of(eg.predicted) for eg in examples] == ["a", "b"]
    assert [corpus_of(eg.reference) for eg in examples] == ["a", "b"]


@pytest.mark.parametrize("read_first", [True, False])
def test_each_corpus_is_among_the_first_docs_to_initialise_from(read_first):
    """spaCy initialises from 100 docs of a stream."""
    reader, nlp = reader_of({"a": 300, "b": 5, "c": 2}, make_proportional_v1(), read_first=read_first)
    nlp.config["training"]["train_corpus"] = "corpora.train"
    nlp.config["corpora"] = {"train": {"@readers": "spacy_mtl.MultiCorpus.v1"}}
    nlp.config["training"]["max_epochs"] = -1
    first = [corpus_of(eg.reference) for _, eg in zip(range(3), reader(nlp), strict=False)]
    assert first == ["a", "b", "c"]


def test_export_keeps_adapters_outside_of_the_graph(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from spacy_mtl.onnx.export import export_pipeline

    nlp = make_nlp(adapters(by="head"))
    for _ in range(5):
        nlp.update(of_corpora(nlp, "a"), sgd=nlp.create_optimizer())
    nlp.to_disk(tmp_path / "model")
    sizes = export_pipeline(tmp_path / "model", tmp_path / "exported")
    assert list(sizes) == ["multitask"]
    assert spacy.load(tmp_path / "exported")("play jazz").cats == pytest.approx(nlp("play jazz").cats, abs=1e-5)
