"""The exported pipeline predicts what the original does, and can only predict."""

import builtins
import pickle
import subprocess
import sys

import numpy as np
import pipelines
import pytest
import spacy
from numpy.testing import assert_allclose
from pipelines import ENCODER, LISTENER, has_moved, heads_config, make_examples, train, weights_of
from spacy.tokens import Doc, DocBin
from thinc.api import fix_random_seed
from typer.testing import CliRunner

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from spacy_mtl.cli import mtl_cli  # noqa: E402
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1, make_multi_hash_embed_cnn_v1  # noqa: E402
from spacy_mtl.onnx.export import export_encoders, export_pipeline, to_onnx  # noqa: E402
from spacy_mtl.threads import parallel  # noqa: E402

FAST = {**ENCODER, "@architectures": "spacy_mtl.HashEmbedCNN.v1", "boundary": "padded"}
SETTINGS_OF_CNN = {key: value for key, value in FAST.items() if key != "@architectures"}
VARIANTS = [
    {},
    {"boundary": "zero"},
    {"depth": 1},
    {"depth": 4, "maxout_pieces": 3},
    {"maxout_pieces": 1, "depth": 3, "boundary": "zero"},
    {"subword_features": False},
    {"window_size": 2, "depth": 3},
    {"window_size": 2, "boundary": "zero"},
]
TEXTS = [
    "play some jazz in Berlin",
    "",
    "Anna",
    "who is Anna Schmidt ( and who is not ) in Berlin",
    "\u200b 漢字 😀",
    "",
]
HEADS = heads_config(
    intent={"kind": "DocClassifier", "label_prefix": "intent=", "pooling": ["mean", "max", "attention"]},
    length={"kind": "DocClassifier", "label_prefix": "length=", "exclusive": False, "pooling": ["max"]},
    slots={"kind": "EntityRecognizer", "condition_on": ["intent", "length"]},
    more={"kind": "EntityRecognizer", "condition_on": "slots", "spans_key": "more"},
)


@pytest.fixture
def docs():
    vocab = spacy.blank("en").vocab
    return [Doc(vocab, words=text.split(" ") if text else []) for text in TEXTS]


def spread(model):
    """Biases and gains like those of a trained model, so that padding matters."""
    rng = np.random.default_rng(0)
    for node in model.walk():
        for name in {"b", "G"} & set(node.param_names):
            param = node.get_param(name)
            param += rng.normal(0, 0.3, param.shape).astype("f")
    return model


def make_pipeline(*, listener=True, heads=HEADS, encoder=FAST):
    """A trained pipeline over the fast encoder."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": encoder})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER if listener else encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    examples = labelled(nlp)
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=15)
    return nlp


def labelled(nlp):
    """Examples with classes for both doc classifiers."""
    examples = make_examples(nlp)
    for eg in examples:
        length = {"length=short": float(len(eg.reference) < 4), "length=any": 1.0}
        eg.reference.cats = {f"intent={key}": value for key, value in eg.reference.cats.items()} | length
    return examples


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A pipeline, and the folder that it was exported to."""
    nlp, path = make_pipeline(), tmp_path_factory.mktemp("exported")
    nlp.to_disk(path / "model")
    result = CliRunner().invoke(mtl_cli, ["export-onnx", str(path / "model"), str(path / "out")])
    assert result.exit_code == 0, result.output
    return nlp, path / "out"


def annotations(doc):
    ents = [(ent.start, ent.end, ent.label_) for ent in (*doc.ents, *doc.spans.get("more", ()))]
    return ents, doc.cats


def assert_same(docs, others):
    assert any(annotations(doc)[0] for doc in docs)
    for doc, other in zip(docs, others, strict=True):
        assert annotations(doc)[0] == annotations(other)[0]
        assert annotations(doc)[1] == pytest.approx(annotations(other)[1], abs=1e-4)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_vectors_are_those_of_the_encoder(changes, docs, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    encoder = spread(make_hash_embed_cnn_v1(**{**SETTINGS_OF_CNN, **changes}).initialize(X=docs))
    exported = to_onnx(encoder, docs[0].vocab)
    for batch in (docs, docs[:1], docs[1:2], docs[::-1], []):
        found, expected = exported.predict(batch), encoder.predict(batch)
        assert [len(vectors) for vectors in found] == [len(doc) for doc in batch]
        for vectors, others in zip(found, expected, strict=True):
            assert_allclose(vectors, others, atol=1e-4)


def test_words_that_training_never_saw_are_the_unknown_word(docs):
    encoder = make_hash_embed_cnn_v1(**{**SETTINGS_OF_CNN, "rare_word_dropout": 1.0}).initialize(X=docs)
    encoder.begin_update(docs[:1])
    exported = to_onnx(encoder, docs[0].vocab)
    for vectors, others in zip(exported.predict(docs), encoder.predict(docs), strict=True):
        assert_allclose(vectors, others, atol=1e-4)


def test_it_does_not_need_torch(docs, monkeypatch):
    encoder = spread(make_hash_embed_cnn_v1(**SETTINGS_OF_CNN).initialize(X=docs))
    expected = np.concatenate(encoder.predict(docs))
    monkeypatch.setattr(parallel, "has_torch", False)
    assert_allclose(np.concatenate(to_onnx(encoder, docs[0].vocab).predict(docs)), expected, atol=1e-4)


def test_static_vectors_follow_those_of_the_vocab(docs):
    vocab = docs[0].vocab
    vocab.reset_vectors(width=7)
    for word in ("Anna", "play", "jazz"):
        vocab.set_vector(word, np.random.default_rng(len(word)).normal(size=7).astype("f"))
    settings = {"width": 32, "attrs": ["NORM", "SHAPE"], "rows": [100, 50], "include_static_vectors": True}
    encoder = make_multi_hash_embed_cnn_v1(**settings, depth=2, window_size=1, maxout_pieces=2).initialize(X=docs)
    exported = to_onnx(spread(encoder), vocab)
    before = np.concatenate(exported.predict(docs))
    assert_allclose(before, np.concatenate(encoder.predict(docs)), atol=1e-4)
    vocab.set_vector("Anna", np.ones(7, dtype="f"))
    after = np.concatenate(exported.predict(docs))
    assert np.abs(after - before).max() > 0.01
    assert_allclose(after, np.concatenate(encoder.predict(docs)), atol=1e-4)


def test_exported_pipeline_gives_the_same_annotations(exported):
    nlp, path = exported
    loaded = spacy.load(path)
    assert loaded.config["components"]["tok2vec"]["model"] == {
        "@architectures": "spacy_mtl.OnnxEncoder.v1",
        "width": 32,
    }
    assert_same([nlp(text) for text in TEXTS], list(loaded.pipe(TEXTS)))
    assert_same([nlp(text) for text in TEXTS], [loaded(text) for text in TEXTS])


def test_it_survives_every_way_to_save_it(exported, tmp_path):
    nlp, path = exported
    expected, loaded = [nlp(text) for text in TEXTS], spacy.load(path)
    loaded("a session is open")
    loaded.to_disk(tmp_path)
    from_bytes = spacy.blank("en").from_config(loaded.config).from_bytes(loaded.to_bytes())
    for again in (spacy.load(tmp_path), from_bytes, pickle.loads(pickle.dumps(loaded))):
        assert_same(expected, list(again.pipe(TEXTS)))
    loaded.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    assert_same(expected, list(loaded.pipe(TEXTS)))


def test_two_processes(exported):
    nlp, path = exported
    loaded = spacy.load(path)
    loaded("a session is open")
    assert_same(list(nlp.pipe(TEXTS)), list(loaded.pipe(TEXTS, n_process=2, batch_size=2)))


def test_other_weights_are_not_mixed_with_the_words_of_the_old(docs):
    encoders = [spread(make_hash_embed_cnn_v1(**SETTINGS_OF_CNN).initialize(X=docs)) for _ in range(2)]
    first, second = (to_onnx(encoder, docs[0].vocab) for encoder in encoders)
    assert np.abs(first.predict(docs)[0] - second.predict(docs)[0]).max() > 0.1
    first.from_bytes(second.to_bytes())
    assert_allclose(first.predict(docs)[0], second.predict(docs)[0], atol=1e-5)


@pytest.mark.parametrize("encoder", [FAST, ENCODER], ids=["ours", "spacy"])
def test_an_encoder_of_the_components_own(encoder, tmp_path):
    nlp = make_pipeline(listener=False, encoder=encoder)
    expected = [nlp(text) for text in TEXTS]
    assert list(export_encoders(nlp)) == ["multitask"]
    nlp.to_disk(tmp_path)
    assert_same(expected, list(spacy.load(tmp_path).pipe(TEXTS)))


def test_it_refuses_to_train_and_says_what_to_do(exported):
    loaded = spacy.load(exported[1])
    examples = make_examples(loaded)
    with pytest.raises(ValueError, match="can't be trained; train the pipeline that it was exported from"):
        loaded.update(examples)
    with pytest.raises(ValueError, match="can't be initialised or trained"):
        loaded.initialize(lambda: examples)
    with pytest.raises(ValueError, match=r"no graphs, since .* export-onnx"):
        spacy.registry.architectures.get("spacy_mtl.OnnxEncoder.v1")(8).predict([examples[0].x])


def test_heads_go_on_learning_over_the_frozen_encoder(exported):
    loaded = spacy.load(exported[1])
    examples = labelled(loaded)
    pipe = loaded.get_pipe("multitask")
    before, vectors = weights_of(pipe), loaded(TEXTS[0]).tensor
    optimizer = loaded.create_optimizer()
    loaded.update(examples, sgd=optimizer, exclude=["tok2vec"], annotates=["tok2vec"])
    assert has_moved(before, weights_of(pipe))
    assert_allclose(loaded(TEXTS[0]).tensor, vectors)


def test_what_cannot_be_exported_is_named(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ValueError, match=r"none of the components \[\] .* spacy_mtl.HashEmbedCNN.v1"):
        export_pipeline(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(mtl_cli, ["export-onnx", str(tmp_path / "model"), str(tmp_path / "full")])
    assert result.exit_code == 1
    assert "is not empty" in " ".join(result.output.split())
    with pytest.raises(ValueError, match=r"is not empty; remove it, or name another folder$"):
        export_pipeline(tmp_path / "model", tmp_path / "model")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        export_pipeline(tmp_path / "model", tmp_path / "full" / "file")


def test_without_onnxruntime_the_error_names_the_extra(exported, monkeypatch):
    loaded, imported = spacy.load(exported[1]), builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "onnxruntime":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'spacy-mtl\[onnx\]'"):
        loaded("play some jazz")


def test_without_onnx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for module in ("export", "cnn_graphs", "graph"):
        monkeypatch.delitem(sys.modules, f"spacy_mtl.onnx.{module}")
    result = CliRunner().invoke(mtl_cli, ["export-onnx", "model", "out"])
    assert result.exit_code == 1
    assert "pip install 'spacy-mtl[onnx]'" in result.output


def test_snips_dev_is_annotated_the_same(data_dir):
    nlp = make_pipeline()
    gold = list(DocBin().from_disk(data_dir / "snips" / "dev.spacy").get_docs(nlp.vocab))
    words = [[token.text for token in doc] for doc in gold]
    plain = list(nlp.pipe([Doc(nlp.vocab, words=row) for row in words]))
    export_encoders(nlp)
    again = list(nlp.pipe([Doc(nlp.vocab, words=row) for row in words]))
    assert_same(plain, again)
    for doc, other in zip(plain, again, strict=True):
        assert_allclose(doc.tensor, other.tensor, atol=1e-4)


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path):
    """A real failure: no file may be larger than 20,000 bytes."""
    pipelines.make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}).to_disk(
        tmp_path / "model"
    )
    code = (
        "import resource, sys; from spacy.cli import app; import spacy_mtl.cli; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); app()"
    )
    command = [sys.executable, "-c", code, "mtl", "export-onnx", str(tmp_path / "model"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Nothing was exported" in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
