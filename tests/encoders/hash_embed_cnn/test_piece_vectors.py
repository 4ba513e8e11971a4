"""Static vectors from word pieces: the encoder computes what it would with the same vectors in the vocab, keeps them
through all kinds of copies, and knows every word.
"""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import JOINT, make_examples, train
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vectors import Vectors
from thinc.api import fix_random_seed
from thinc.compat import has_torch

from spacy_mtl.encoders.hash_embed_cnn import kernels as kernels_module
from spacy_mtl.encoders.hash_embed_cnn import piece_vectors as piece_vectors_module
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1
from spacy_mtl.encoders.hash_embed_cnn.piece_layer import PIECES as LAYER
from spacy_mtl.encoders.hash_embed_cnn.piece_vectors import FILE, PieceVectors, word_key
from spacy_mtl.encoders.hash_embed_cnn.wordpiece import WordPiece, WordPieceSettings
from spacy_mtl.threads import parallel

PIECES = ["[UNK]", "play", "##ing", "##s", "jazz", "in", "berlin", "b", "##l", "##a", "x", "##x", "."]
WIDTH = 8
SETTINGS: dict[str, Any] = {
    "width": 16,
    "depth": 2,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}
ENGINES = ["numpy", pytest.param("torch", marks=pytest.mark.skipif(not has_torch, reason="no torch"))]
TEXTS = ["play jazz in Berlin", "", "PLAYING blax Schlager x.x", "\u200b \u3000 😀 plays", "bla"]


def make_cutter(*, lowercase: bool = True) -> WordPiece:
    return WordPiece(WordPieceSettings(PIECES, "[UNK]", "##", 100, True, True, lowercase, lowercase))


def make_pieces() -> PieceVectors:
    """Random vectors of the pieces, and of the word "bla"."""
    cutter, rng = make_cutter(), np.random.default_rng(0)
    table = rng.normal(size=(len(PIECES) + 1, WIDTH)).astype("float16")
    return PieceVectors(cutter, table, {word_key("bla", cutter): len(PIECES)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vecs").mkdir()
    (tmp_path / "vecs" / FILE).write_bytes(make_pieces().to_bytes())
    return tmp_path / "vecs"


def make_docs(*texts: str) -> list[Doc]:
    vocab = spacy.blank("en").vocab
    return [Doc(vocab, words=text.split(" ") if text else []) for text in texts or TEXTS]


def make_encoder(folder: Path, **settings: Any) -> Any:
    fix_random_seed(0)
    settings = SETTINGS | {"pretrained_vectors": None, "piece_vectors": str(folder)} | settings
    return make_hash_embed_cnn_v1(**settings).initialize(X=make_docs())


def make_pipeline(folder: Path, *, listener: bool = False) -> Language:
    """A trained pipeline."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    encoder = {"@architectures": "spacy_mtl.HashEmbedCNN.v1", "pretrained_vectors": None, **SETTINGS}
    encoder["piece_vectors"] = str(folder)
    if listener:
        nlp.add_pipe("tok2vec", config={"model": encoder})
        encoder = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 16, "upstream": "*"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    train(nlp, make_examples(nlp), steps=5)
    return nlp


def row(piece: str) -> Any:
    return make_pieces().table[PIECES.index(piece)].astype("float32")


def read(*words: str, vectors: PieceVectors | None = None) -> Any:
    (doc,) = make_docs(" ".join(words))
    return (vectors or make_pieces()).read(doc.to_array("ORTH").reshape(-1), [doc.vocab])


def cats_of(nlp: Language) -> list[Any]:
    return [doc.cats for doc in nlp.pipe([text for text in TEXTS if text])]


def test_a_word_has_the_mean_of_its_pieces() -> None:
    vectors = read("play", "PLAYING", "plays", "Schlager", "x.x", "bla", "BLA", "\u3000")
    assert_allclose(vectors[0], row("play"))
    assert_allclose(vectors[1], (row("play") + row("##ing")) / 2, rtol=1e-6)
    assert_allclose(vectors[2], (row("play") + row("##s")) / 2, rtol=1e-6)
    assert_allclose(vectors[3], row("[UNK]"))
    assert_allclose(vectors[4], (2 * row("x") + row(".")) / 3, rtol=1e-6)
    own = make_pieces().table[-1].astype("float32")
    assert_array_equal(vectors[5:7], [own, own])
    assert not vectors[7].any()
    assert vectors.dtype == np.float32


def test_white_space_alone_and_no_word_at_all() -> None:
    assert_array_equal(read("\u3000"), np.zeros((1, WIDTH)))
    assert make_pieces().read(np.zeros(0, dtype="uint64"), []).shape == (0, WIDTH)


def test_the_words_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_vectors_module, "MAX_WORDS", 3)
    vectors = make_pieces()
    for words in (("play", "jazz"), ("in", "berlin", "x"), ("plays", "play"), ("x", "bla")):
        assert_array_equal(read(*words, vectors=vectors), read(*words))
        assert len(vectors._rows) <= 6


@pytest.mark.parametrize("engine", ENGINES)
def test_the_encoder_equals_one_with_the_same_vectors_in_the_vocab(
    engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "numpy":
        monkeypatch.setattr(kernels_module, "has_torch", False)
        monkeypatch.setattr(parallel, "has_torch", False)
    monkeypatch.setattr(kernels_module, "FEW_TOKENS", 0)
    monkeypatch.setattr(parallel, "PART_TOKENS", 3)
    docs = make_docs()
    words = sorted({token.text for doc in docs for token in doc})
    vocab = docs[0].vocab
    keys = np.array([vocab.strings[word] for word in words], dtype="uint64")
    vocab.vectors = Vectors(strings=vocab.strings, data=make_pieces().read(keys, [vocab]), keys=words)
    theirs = make_hash_embed_cnn_v1(**SETTINGS, pretrained_vectors=True).initialize(X=docs)
    ours = make_encoder(folder)
    for node, other in zip(ours.walk(), theirs.walk(), strict=True):
        for name in node.param_names:
            node.set_param(name, other.get_param(name).copy())
    for y, expected in zip(ours.predict(docs), theirs.predict(docs), strict=True):
        assert_allclose(y, expected, atol=1e-5)
    grads = []
    for model in (ours, theirs):
        Y, backprop = model.begin_update(docs)
        backprop([np.ones_like(y) for y in Y])
        grads.append([node.get_grad(name) for node in model.walk() for name in node.param_names])
    for grad, expected in zip(*grads, strict=True):
        assert_allclose(grad, expected, atol=1e-4)


def test_words_are_kept_from_one_batch_to_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, docs = make_encoder(folder), make_docs()
    before = encoder.predict(docs)
    monkeypatch.setattr(PieceVectors, "read", None)
    for y, expected in zip(encoder.predict(docs), before, strict=True):
        assert_array_equal(y, expected)


def test_unseen_words_differ_by_their_pieces(folder: Path) -> None:
    encoder = make_encoder(folder, rare_word_dropout=1.0, subword_features=False)
    encoder.begin_update(make_docs("play jazz"))
    same, *others = (encoder.predict(make_docs(word))[0] for word in ("plays", "plays", "blas", "playing"))
    assert_array_equal(same, others[0])
    assert all((same != other).any() for other in others[1:])


def test_docs_of_two_vocabs_in_one_batch(folder: Path) -> None:
    docs = [make_docs(text)[0] for text in ("play jazz", "zzyzx in berlin")]
    assert "zzyzx" not in docs[0].vocab.strings
    for doc, y in zip(docs, make_encoder(folder).predict(docs), strict=True):
        assert_allclose(y, make_encoder(folder).predict([doc])[0], atol=1e-5)


def test_four_threads_compute_what_one_does(folder: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join("".join(rng.choice(list("blaxs"), size=4)) for _ in range(20)) for _ in range(40)]
    docs = [make_docs(text)[0] for text in texts]
    encoder = make_encoder(folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda doc: encoder.predict([doc])[0], docs * 3))
    alone = make_encoder(folder)
    for doc, y in zip(docs * 3, found, strict=True):
        assert_allclose(y, alone.predict([doc])[0], atol=1e-5)


@pytest.mark.parametrize("way", ["bytes", "copy", "deepcopy", "pickle"])
def test_copies_have_the_vectors(way: str, folder: Path) -> None:
    encoder = make_encoder(folder)
    fresh = make_hash_embed_cnn_v1(**SETTINGS, pretrained_vectors=None, piece_vectors="gone")
    other = {
        "bytes": lambda: fresh.from_bytes(encoder.to_bytes()),
        "copy": encoder.copy,
        "deepcopy": lambda: copy.deepcopy(encoder),
        "pickle": lambda: pickle.loads(pickle.dumps(encoder)),
    }[way]()
    for y, expected in zip(other.predict(make_docs()), encoder.predict(make_docs()), strict=True):
        assert_array_equal(y, expected)


@pytest.mark.parametrize("listener", [True, False])
def test_a_saved_pipeline_needs_neither_the_folder_nor_its_own_place(
    folder: Path, listener: bool, tmp_path: Path
) -> None:
    nlp = make_pipeline(folder, listener=listener)
    nlp.to_disk(tmp_path / "model")
    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "model").rename(tmp_path / "renamed")
    loaded = spacy.load(tmp_path / "renamed")
    assert cats_of(loaded) == cats_of(nlp)


def test_a_loaded_pipeline_is_trained_on_and_begun_anew_without_the_folder(folder: Path, tmp_path: Path) -> None:
    make_pipeline(folder).to_disk(tmp_path / "model")
    folder.rename(tmp_path / "elsewhere")
    loaded = spacy.load(tmp_path / "model")
    (layer,) = [node for node in loaded.get_pipe("multitask").model.walk() if node.name == LAYER]
    before = layer.get_param("W").copy()
    train(loaded, make_examples(loaded), steps=3)
    assert np.abs(layer.get_param("W") - before).max() > 0
    loaded.initialize(lambda: make_examples(loaded))
    assert_array_equal(layer.attrs[LAYER].table, make_pieces().table)


def test_a_sourced_pipe_brings_its_vectors_along(folder: Path) -> None:
    nlp = make_pipeline(folder)
    other = spacy.blank("en")
    other.add_pipe("multitask", source=nlp)
    assert cats_of(other) == cats_of(nlp)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_two_processes(folder: Path) -> None:
    nlp = make_pipeline(folder)
    docs = list(nlp.pipe([text for text in TEXTS if text], n_process=2, batch_size=2))
    for doc, cats in zip(docs, cats_of(nlp), strict=True):
        assert doc.cats == pytest.approx(cats, abs=1e-5)


def test_prediction_imports_neither_torch_nor_a_tokenizer(folder: Path, tmp_path: Path) -> None:
    make_pipeline(folder).to_disk(tmp_path / "model")
    # spacy-transformers would be imported by its entry points
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'transformers', 'tokenizers']))\n"
        "from importlib.metadata import EntryPoints, distributions\n"
        "import catalogue\n"
        "points = [point for dist in distributions() for point in dist.entry_points]\n"
        "points = [point for point in points if '_transformers' not in point.value]\n"
        "catalogue.AVAILABLE_ENTRY_POINTS = EntryPoints(points)\n"
        "import spacy\n"
        "print(len(spacy.load(sys.argv[1])('playing Schlager').cats))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "model")], capture_output=True, text=True)
    assert done.stdout.strip() == "2", done.stderr


def test_the_export_to_onnx_takes_the_vectors_along(folder: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from spacy_mtl.onnx.export import to_onnx
    from spacy_mtl.onnx.onnx_encoder import make_onnx_encoder_v1

    encoder, docs = make_encoder(folder), make_docs()
    exported = to_onnx(encoder, docs[0].vocab)
    loaded = make_onnx_encoder_v1(16).from_bytes(exported.to_bytes())
    for model in (exported, loaded):
        for _ in range(2):
            for y, expected in zip(model.predict(docs), encoder.predict(docs), strict=True):
                assert_allclose(y, expected, atol=1e-4)


def test_a_folder_without_vectors_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"piece_vectors is '.*nothing'.*mtl vectors TEACHER --pieces"):
        make_encoder(tmp_path / "nothing")


def test_vectors_of_the_vocab_and_of_pieces_exclude_each_other(folder: Path) -> None:
    with pytest.raises(ValueError, match="can't be used as well; set pretrained_vectors"):
        make_encoder(folder, pretrained_vectors=True)
