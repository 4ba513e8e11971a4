"""The transformer encoder against Hugging Face's own forward pass, and in a pipeline."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import JOINT, assert_learns, make_examples
from spacy.tokens import Doc
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

from spacy_mtl.encoders.transformer.piece_batches import (
    ATTENTION_COST,
    BATCH_COST,
    SpecialPieces,
    batch_windows,
    cheapest_cuts,
    fill_batch,
    fill_rows,
)
from spacy_mtl.encoders.transformer.piece_windows import plan_piece_windows
from spacy_mtl.encoders.transformer.transformer_encoder import POOLINGS, make_transformer_encoder_v1, plan_batches
from spacy_mtl.layers.slices import Slices, slices2ragged

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["play some jazz", "", "   ", "who is unbelievably anna", "wake me at seven in berlin", "☃ play"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_bert(tmp_path_factory.mktemp("bert"))


def make_docs(texts: list[str] = TEXTS) -> list[Doc]:
    nlp = spacy.blank("en")
    return [nlp.make_doc(text) for text in texts]


def make_encoder(name: str, **settings: Any) -> Any:
    return make_transformer_encoder_v1(name, **settings).initialize(make_docs(["play"]))


def word_vectors(name: str, doc: Doc, pooling: str, *, all_layers: bool = False) -> Any:
    """What Hugging Face's model gives for a doc, pooled word by word; zeros for words without pieces."""
    from transformers import AutoModel, AutoTokenizer

    encoding = AutoTokenizer.from_pretrained(name)(
        [[t.text for t in doc]], is_split_into_words=True, return_token_type_ids=False, return_tensors="pt"
    )
    with torch.no_grad():
        output = AutoModel.from_pretrained(name).eval()(**encoding, output_hidden_states=True)
    hidden = torch.cat(output.hidden_states, -1) if all_layers else output.last_hidden_state
    rows = [[i for i, word in enumerate(encoding.word_ids(0)) if word == j] for j in range(len(doc))]
    pool = {"mean": lambda X: X.mean(0), "max": lambda X: X.amax(0), "first": lambda X: X[0], "last": lambda X: X[-1]}
    return numpy.stack([pool[pooling](hidden[0, r]).numpy() if r else numpy.zeros(hidden.shape[-1]) for r in rows])


def test_docs_of_two_vocabs_in_one_batch(bert: str) -> None:
    docs = [make_docs([text])[0] for text in ("play some jazz", "wake schmidt in berlin", "play berlin")]
    assert "schmidt" not in docs[0].vocab.strings
    together = make_encoder(bert).predict(docs)
    for doc, vectors in zip(docs, together, strict=True):
        assert_allclose(vectors, make_encoder(bert).predict([doc])[0], atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("max_batch", [1, 2048])
def test_vectors_equal_hugging_face_for_one_doc_at_a_time(bert: str, pooling: str, max_batch: int) -> None:
    docs = make_docs()
    encoder = make_encoder(bert, pooling=pooling, max_batch=max_batch)
    for doc, vectors, trained in zip(docs, encoder.predict(docs), encoder.begin_update(docs)[0], strict=True):
        expected = word_vectors(bert, doc, pooling) if len(doc) else numpy.zeros((0, 16))
        assert_allclose(vectors, expected, atol=1e-5)
        assert_allclose(trained, expected, atol=1e-5)


def test_a_tokenizer_that_pads_and_truncates_adds_and_loses_nothing(bert: str, tmp_path: Path) -> None:
    """As that of sentence-transformers/all-MiniLM-L6-v2 does: each text has 128 pieces."""
    name = write_bert(tmp_path)
    settings = srsly.read_json(tmp_path / "tokenizer.json")
    settings["padding"] = {"strategy": {"Fixed": 24}, "direction": "Right", "pad_to_multiple_of": None}
    settings["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    settings["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    srsly.write_json(tmp_path / "tokenizer.json", settings)
    encoder, plain = make_encoder(name), make_encoder(bert)
    assert encoder.shims[0].special == plain.shims[0].special
    for vectors, expected in zip(encoder.predict(make_docs()), plain.predict(make_docs()), strict=True):
        assert_allclose(vectors, expected, atol=1e-6)


DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "dropout": 0.0, "attention_dropout": 0.0}


@pytest.mark.parametrize(
    ("model_type", "settings", "can_pack"),
    [
        ("roberta", {}, True),
        ("electra", {"embedding_size": 16}, True),
        ("distilbert", DISTILBERT, False),
        ("bert", {"position_embedding_type": "relative_key"}, False),
    ],
)
def test_vectors_of_other_types_equal_hugging_face(
    model_type: str, settings: dict[str, Any], can_pack: bool, tmp_path: Path
) -> None:
    name = write_bert(tmp_path, model_type=model_type, **settings)
    docs = [doc for doc in make_docs() if len(doc)]
    encoder = make_encoder(name)
    assert encoder.shims[0].module.can_pack == can_pack
    Y, backprop = encoder.begin_update(docs)
    for doc, trained, vectors in zip(docs, Y, encoder.predict(docs), strict=True):
        assert_allclose(trained, word_vectors(name, doc, "mean"), atol=1e-5)
        assert_allclose(vectors, trained, atol=1e-5)
    backprop([numpy.ones_like(y) for y in Y])
    table = encoder.shims[0].module.transformer.get_input_embeddings().weight
    assert table.grad.any(dim=1).sum() == len({i for batch in plan_batches(encoder, docs) for i in batch.ids.flat if i})


def test_all_layers_stand_side_by_side(bert: str) -> None:
    docs = make_docs(["who is unbelievably anna"])
    encoder = make_encoder(bert, layers="all")
    assert encoder.get_dim("nO") == 3 * 16
    assert_allclose(encoder.predict(docs)[0], word_vectors(bert, docs[0], "mean", all_layers=True), atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_equal_autograd_over_single_docs(bert: str, pooling: str) -> None:
    docs = make_docs()
    encoder = make_encoder(bert, pooling=pooling, max_batch=16)
    Y, backprop = encoder.begin_update(docs)
    rng = numpy.random.default_rng(0)
    dY = [rng.normal(size=y.shape).astype("f") for y in Y]
    backprop([d.copy() for d in dY])
    module = encoder.shims[0].module
    grads = {name: param.grad.clone() for name, param in module.named_parameters() if param.grad is not None}
    module.zero_grad()
    for doc, d in zip(docs, dY, strict=True):
        if len(doc):
            encoder.begin_update([doc])[1]([d.copy()])
    assert any(grad.abs().sum() > 0 for grad in grads.values())
    for name, param in module.named_parameters():
        if name in grads:
            assert_allclose(grads[name], param.grad, atol=1e-3, err_msg=name)


def test_a_gradient_equals_finite_differences(bert: str) -> None:
    docs = make_docs()
    encoder = make_encoder(bert)
    param = encoder.shims[0].module.transformer.encoder.layer[0].output.dense.weight
    Y, backprop = encoder.begin_update(docs)
    rng = numpy.random.default_rng(0)
    dY = [rng.normal(size=y.shape).astype("f") for y in Y]
    backprop([d.copy() for d in dY])

    def loss() -> float:
        return sum(float((y.astype("f8") * d).sum()) for y, d in zip(encoder.predict(docs), dY, strict=True))

    for place in [(0, 0), (3, 7), (15, 31)]:
        gradient = float(param.grad[place])
        with torch.no_grad():
            param[place] += 1e-2
            above = loss()
            param[place] -= 2e-2
            below = loss()
            param[place] += 1e-2
        assert (above - below) / 2e-2 == pytest.approx(gradient, rel=0.05, abs=0.02)


def test_only_words_without_pieces_train_their_vector(bert: str) -> None:
    encoder = make_encoder(bert)
    Y, backprop = encoder.begin_update(make_docs(["play   jazz"]))
    backprop([numpy.ones_like(y) for y in Y])
    assert_allclose(encoder.shims[0].module.no_piece.grad, numpy.ones(16))


def test_long_docs_are_read_in_windows_and_no_word_is_lost(bert: str) -> None:
    text = " ".join(itertools.islice(itertools.cycle(["play some jazz", "who is anna", "unbelievably"]), 100))
    (doc,) = make_docs([text])
    encoder = make_encoder(bert, overlap=20)
    (vectors,) = encoder.predict([doc])
    assert vectors.shape == (len(doc), 16)
    assert (numpy.abs(vectors).sum(axis=1) > 0).all()
    # the first window is what a doc of these words alone gives
    head = Doc(doc.vocab, words=[token.text for token in doc[:20]])
    first_window = encoder.predict([Doc(doc.vocab, words=[token.text for token in doc])])[0][:5]
    assert_allclose(vectors[:5], first_window)
    assert len(encoder.predict([head])[0]) == 20


def test_windows_cover_each_word_once_and_stay_within_their_size() -> None:
    rng = numpy.random.default_rng(0)
    for _ in range(200):
        lengths = rng.integers(0, 40, size=5).tolist()
        counts = rng.integers(0, 8, size=sum(lengths))
        max_pieces, overlap = int(rng.integers(8, 30)), int(rng.integers(0, 4))
        windows = plan_piece_windows(lengths, counts, max_pieces=max_pieces, overlap=overlap)
        own = [
            word for start, end in zip(windows.own_starts, windows.own_ends, strict=True) for word in range(start, end)
        ]
        assert own == list(range(sum(lengths)))
        assert (windows.starts <= windows.own_starts).all()
        assert (windows.own_ends <= windows.ends).all()
        sizes = [counts[start:end].sum() for start, end in zip(windows.starts, windows.ends, strict=True)]
        assert max(sizes, default=0) <= max_pieces


@pytest.mark.parametrize("pack_sequences", [False, True])
def test_batches_are_the_cheapest_of_all_cuts(pack_sequences: bool) -> None:
    rng = numpy.random.default_rng(0)
    for _ in range(50):
        sizes = -numpy.sort(-rng.integers(1, 60, size=int(rng.integers(1, 9))))

        def cost(cuts: list[tuple[int, int]], sizes: Any = sizes) -> float:
            pieces = [sum(sizes[start:end]) if pack_sequences else (end - start) * sizes[start] for start, end in cuts]
            each = [1 + ATTENTION_COST * sizes[start] for start, _ in cuts]
            return sum(n * factor + BATCH_COST for n, factor in zip(pieces, each, strict=True))

        places = range(1, len(sizes))
        choices = [c for n in range(len(sizes)) for c in itertools.combinations(places, n)]
        best = min(cost(list(itertools.pairwise((0, *choice, len(sizes))))) for choice in choices)
        found = cheapest_cuts(sizes, pack_sequences=pack_sequences)
        assert [place for cut in found for place in range(*cut)] == list(range(len(sizes)))
        assert cost(found) == pytest.approx(best)


def test_where_a_batch_costs_much_all_is_read_at_once() -> None:
    sizes = numpy.array([40, 20, 20, 3, 1])
    assert len(cheapest_cuts(sizes)) > 1
    assert cheapest_cuts(sizes, batch_cost=10**6) == [(0, 5)]


def test_a_batch_has_its_windows_special_pieces_and_padding() -> None:
    counts = numpy.ones(61, dtype="int64")
    windows = plan_piece_windows([1, 20, 3, 19, 1, 17], counts, max_pieces=64, overlap=8)
    batches = batch_windows(windows, counts, n_added=2, max_batch=44)
    assert [batch.windows.tolist() for batch in batches] == [[1, 3], [5], [2, 0, 4]]
    batch = fill_batch(windows, batches[2], numpy.arange(100, 161), counts, SpecialPieces((1,), (2,), 0))
    assert batch.ids.tolist() == [[1, 121, 122, 123, 2], [1, 100, 2, 0, 0], [1, 143, 2, 0, 0]]
    assert batch.texts.tolist() == [[1, 1, 1, 1, 1], [2, 2, 2, 0, 0], [3, 3, 3, 0, 0]]
    assert_array_equal(batch.ids.reshape(-1)[batch.own_positions] - 100, batch.words)


def test_windows_share_rows_and_do_not_overlap() -> None:
    rng = numpy.random.default_rng(0)
    for _ in range(100):
        sizes = -numpy.sort(-rng.integers(1, 20, size=int(rng.integers(1, 30))))
        rows, offsets = fill_rows(sizes, 20)
        taken = [(row, place) for row, at, n in zip(rows, offsets, sizes, strict=True) for place in range(at, at + n)]
        assert len(set(taken)) == len(taken) == sizes.sum()
        assert (offsets + sizes).max() <= 20
        assert set(rows.tolist()) == set(range(rows.max() + 1))
        # no two rows could be one
        filled = numpy.sort(numpy.bincount(rows, weights=sizes))[:2]
        assert len(filled) < 2 or filled.sum() > 20


def test_a_batch_with_two_windows_in_a_row() -> None:
    counts = numpy.ones(11, dtype="int64")
    windows = plan_piece_windows([1, 6, 1, 3], counts, max_pieces=64, overlap=8)
    (chosen,) = batch_windows(windows, counts, n_added=2, max_batch=64, pack_sequences=True)
    batch = fill_batch(windows, chosen, numpy.arange(100, 111), counts, SpecialPieces((1,), (2,), 0))
    assert batch.ids.tolist() == [
        [1, 101, 102, 103, 104, 105, 106, 2],
        [1, 108, 109, 110, 2, 1, 100, 2],
        [1, 107, 2] + 5 * [0],
    ]
    assert batch.texts.tolist() == [8 * [1], 5 * [2] + 3 * [3], 3 * [4] + 5 * [0]]
    assert batch.positions.tolist() == [[*range(8)], [0, 1, 2, 3, 4, 0, 1, 2], [0, 1, 2] + 5 * [0]]
    assert_array_equal(batch.ids.reshape(-1)[batch.own_positions] - 100, batch.words)


def assert_same_annotations(docs: list[Doc], others: list[Doc]) -> None:
    for doc, other in zip(docs, others, strict=True):
        assert doc.cats == pytest.approx(other.cats, abs=1e-5)
        assert [(e.start, e.end, e.label_) for e in doc.ents] == [(e.start, e.end, e.label_) for e in other.ents]


def make_pipeline(bert: str, *, listener: bool) -> Any:
    fix_random_seed(0)
    nlp = spacy.blank("en")
    encoder = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}
    if listener:
        nlp.add_pipe("tok2vec", config={"model": encoder})
    inside = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 16, "upstream": "*"} if listener else encoder
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": inside}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


@pytest.mark.parametrize("listener", [False, True])
def test_a_pipeline_learns_and_is_the_same_after_reload(bert: str, listener: bool, tmp_path: Path) -> None:
    nlp = make_pipeline(bert, listener=listener)
    scores = assert_learns(nlp)
    assert scores["intent_acc"] == 1.0
    nlp.to_disk(tmp_path / "model")
    config = (tmp_path / "model" / "config.cfg").read_text().replace(bert, "no/such/model")
    (tmp_path / "model" / "config.cfg").write_text(config)
    texts = [eg.text for eg in make_examples(nlp)]
    assert_same_annotations(list(nlp.pipe(texts)), list(spacy.load(tmp_path / "model").pipe(texts)))


def test_a_packaged_pipeline_holds_its_weights_and_needs_no_network(tmp_path: Path) -> None:
    weights = tmp_path / "bert"
    nlp = make_pipeline(write_bert(weights), listener=True)
    text = "play some jazz in berlin"
    expected = nlp(text).cats
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(weights)
    python = [sys.executable, "-m"]
    (tmp_path / "wheels").mkdir()
    package = ["spacy", "package", str(tmp_path / "model"), str(tmp_path / "wheels"), "--name", "tiny"]
    subprocess.run([*python, *package, "--build", "wheel"], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("wheels/*/dist/*.whl")
    site = tmp_path / "site"
    subprocess.run([*python, "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)], check=True)
    code = f"import json, en_tiny; print(json.dumps(en_tiny.load()({text!r}).cats))"
    # every proxy refuses: a look-up on the hub would fail
    offline = dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], "http://127.0.0.1:9")
    env = {**os.environ, **offline, "PYTHONPATH": str(site), "HF_HOME": str(tmp_path / "empty")}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == pytest.approx(expected, abs=1e-5)


def test_two_heads_need_one_forward_and_one_backward(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = make_pipeline(bert, listener=True)
    shim = nlp.get_pipe("tok2vec").model.shims[0]
    calls = []
    read, backprop = shim.read, shim.backprop
    monkeypatch.setattr(shim, "read", lambda *args, **kwargs: calls.append("read") or read(*args, **kwargs))
    monkeypatch.setattr(shim, "backprop", lambda *args: calls.append("backprop") or backprop(*args))
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert calls[-1] == "backprop"
    assert calls.count("backprop") == 1
    assert calls.count("read") == len(plan_batches(nlp.get_pipe("tok2vec").model, [eg.x for eg in make_examples(nlp)]))


def test_replace_listeners_keeps_the_annotations(bert: str) -> None:
    nlp = make_pipeline(bert, listener=True)
    texts = [eg.text for eg in make_examples(nlp)]
    before = list(nlp.pipe(texts))
    nlp.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert_same_annotations(before, list(nlp.pipe(texts)))


def test_two_processes_annotate_the_same_after_threads_were_used(bert: str) -> None:
    nlp = make_pipeline(bert, listener=True)
    texts = ["play some jazz in berlin", "who is anna"] * 100
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = list(nlp.pipe(texts))
        torch.ones(600, 600) @ torch.ones(600, 600)
        assert_same_annotations(before, list(nlp.pipe(texts, n_process=2)))
    finally:
        torch.set_num_threads(n_threads)


def test_averaged_weights_are_put_in_and_taken_out(bert: str) -> None:
    encoder = make_encoder(bert)
    shim = encoder.shims[0]
    name = "transformer.encoder.layer.0.output.dense.bias"
    docs = make_docs(["play some jazz"])
    before = encoder.predict(docs)[0].copy()
    with encoder.use_params({(shim.id, name): numpy.ones(16, dtype="f")}):
        assert (encoder.predict(docs)[0] != before).any()
    assert_array_equal(encoder.predict(docs)[0], before)


def test_a_model_that_cannot_be_found(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"transformer '.*nowhere'.*can't be loaded.*Give a folder with config\.json"):
        make_encoder(str(tmp_path / "nowhere"))


def test_a_tokenizer_without_a_fast_version(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers
    from transformers import CanineTokenizer

    slow = CanineTokenizer()
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *args, **kwargs: slow)
    with pytest.raises(ValueError, match="CanineTokenizer has no fast version"):
        make_encoder(bert)


def test_a_listener_of_another_width(bert: str) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}})
    listener = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 96, "upstream": "*"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    with pytest.raises(ValueError, match="listener has width 96, but 'tok2vec' gives vectors of width 16"):
        nlp.initialize(lambda: make_examples(nlp))


def test_16_bits_are_for_a_gpu(bert: str) -> None:
    encoder = make_transformer_encoder_v1(bert, mixed_precision=True)
    encoder.initialize()
    docs = [spacy.blank("en")("play jazz")]
    assert encoder.predict(docs)[0].dtype == "float32"
    with pytest.raises(ValueError, match="mixed_precision is true, but training runs on a CPU; give spacy train --gpu"):
        encoder.begin_update(docs)


def test_out_of_memory_names_the_batch_and_keeps_the_weights(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = make_pipeline(bert, listener=True)
    shim = nlp.get_pipe("tok2vec").model.shims[0]
    before = shim.to_bytes()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(shim.module, "forward", fail)
    with pytest.raises(
        MemoryError, match=r"out of memory on a batch of \d rows of \d+ pieces.*Lower max_batch, now 2048"
    ):
        nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert shim.to_bytes() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "sum"}, "pooling is 'sum', expected one of"),
        ({"layers": "first"}, "layers is 'first', expected one of"),
        ({"max_batch": 0}, "max_batch is 0 and overlap 64"),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_transformer_encoder_v1("any", **settings)


def test_slices_become_their_array_again_without_a_copy() -> None:
    whole, lengths = numpy.arange(10, dtype="f").reshape(5, 2), [3, 0, 2]
    layer = slices2ragged()
    joined, backprop = layer.begin_update(Slices(whole, lengths))
    assert numpy.shares_memory(joined.dataXd, whole)
    assert joined.lengths.tolist() == lengths
    copied, _ = layer.begin_update(list(Slices(whole, lengths)))
    assert_array_equal(copied.dataXd, whole)
    assert [len(part) for part in backprop(joined)] == lengths
