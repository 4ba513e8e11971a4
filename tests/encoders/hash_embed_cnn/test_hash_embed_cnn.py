import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import spacy
from numpy.testing import assert_allclose
from spacy.language import Language
from spacy.ml.models.multi_task import create_pretrain_characters
from spacy.ml.models.tok2vec import build_hash_embed_cnn_tok2vec
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.pretrain import make_update
from thinc.api import Adam, fix_random_seed, set_dropout_rate
from thinc.compat import has_torch, torch

from spacy_mtl.encoders.hash_embed_cnn import kernels as kernels_module
from spacy_mtl.encoders.hash_embed_cnn import word_cache
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import (
    load_spacy_weights,
    make_hash_embed_cnn_v1,
    make_multi_hash_embed_cnn_v1,
)
from spacy_mtl.encoders.hash_embed_cnn.window_rows import plan_windows
from spacy_mtl.threads import parallel

SETTINGS = {
    "width": 16,
    "depth": 4,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 3,
    "subword_features": True,
    "pretrained_vectors": None,
}
VARIANTS = [
    {},
    {"depth": 1},
    {"depth": 2},
    {"depth": 3, "maxout_pieces": 2},
    {"depth": 5, "width": 8},
    {"maxout_pieces": 1},
    {"subword_features": False},
    {"window_size": 2},
    {"window_size": 3, "depth": 2},
]
TEXTS = [
    "play the song again and play the song again",
    "",
    "add",
    "what is the weather like in Berlin , Germany ( or in Paris ) tomorrow at 7 p.m. ?",
    "\u200b \u3000 \ufffd \u0301",
    "play the song",
    "",
    "é ß 😀 漢字 ﬁ",
]
ENGINES = ["numpy", pytest.param("torch", marks=pytest.mark.skipif(not has_torch, reason="no torch"))]


@pytest.fixture
def vocab():
    return spacy.blank("en").vocab


@pytest.fixture
def docs(vocab):
    docs = [Doc(vocab, words=text.split(" ") if text else []) for text in TEXTS]
    docs[0][2].norm_ = "another norm"
    return docs


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(kernels_module, "has_torch", False)
        monkeypatch.setattr(parallel, "has_torch", False)
    # few tokens for torch, and parts of few tokens, so that these docs are split
    monkeypatch.setattr(kernels_module, "FEW_TOKENS", 0)
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    return request.param


def make_pair(docs, *, spread_biases=True, **changes):
    """spaCy's layer and ours, with the same weights."""
    settings = {**SETTINGS, **changes}
    boundary = settings.pop("boundary", "padded")
    theirs = build_hash_embed_cnn_tok2vec(**settings).initialize(X=docs)
    ours = make_hash_embed_cnn_v1(**settings, boundary=boundary).initialize(X=docs)
    if spread_biases:
        spread(theirs)
    return theirs, load_spacy_weights(ours, theirs)


def spread(model, seed=0):
    """Biases and gains like those of a trained model."""
    rng = numpy.random.default_rng(seed)
    for node in model.walk():
        for name in node.param_names:
            param = node.get_param(name)
            if name in ("b", "G"):
                param += rng.normal(0, 0.3, param.shape).astype("f")
    return model


def params_and_grads(model):
    return [
        (f"{node.name} {name}", node.get_param(name), node.get_grad(name))
        for node in model.walk()
        for name in node.param_names
    ]


def backprop_random(backprop, outputs, seed=0):
    rng = numpy.random.default_rng(seed)
    backprop([rng.normal(size=y.shape).astype("f") for y in outputs])


def assert_equal_vectors(ours, theirs):
    assert [y.shape for y in ours] == [y.shape for y in theirs]
    for y, expected in zip(ours, theirs, strict=True):
        assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def assert_equal_grads(ours, theirs):
    for (name, _, grad), (_, _, expected) in zip(params_and_grads(ours), params_and_grads(theirs), strict=True):
        assert_allclose(grad, expected, atol=2e-5 * abs(expected).max(), rtol=0, err_msg=name)


@pytest.mark.parametrize("changes", VARIANTS)
def test_equals_spacy(docs, changes, engine):
    theirs, ours = make_pair(docs, **changes)
    assert_equal_vectors(ours.predict(docs), theirs.predict(docs))
    Y, backprop = ours.begin_update(docs)
    expected, expected_backprop = theirs.begin_update(docs)
    assert_equal_vectors(Y, expected)
    backprop_random(backprop, Y)
    backprop_random(expected_backprop, expected)
    assert_equal_grads(ours, theirs)


def test_equals_spacy_when_pieces_tie(docs, engine):
    # All biases are 0 at first, so rows of padding give the same in each piece.
    theirs, ours = make_pair(docs, spread_biases=False)
    Y, backprop = ours.begin_update(docs)
    expected, expected_backprop = theirs.begin_update(docs)
    assert_equal_vectors(Y, expected)
    backprop_random(backprop, Y)
    backprop_random(expected_backprop, expected)
    assert_equal_grads(ours, theirs)


def test_gradients_add_up(docs, engine):
    theirs, ours = make_pair(docs)
    for batch in (docs[:3], docs[3:]):
        for model in (ours, theirs):
            Y, backprop = model.begin_update(batch)
            backprop_random(backprop, Y)
    assert_equal_grads(ours, theirs)


def zero_boundary_reference(theirs, docs):
    """spaCy's own layers, doc by doc: their window ends where the array ends."""
    embed, encode = theirs.layers
    X, backprop_embed = embed.begin_update(docs)
    results = [encode.layers[0].begin_update(x) if len(x) else (x, None) for x in X]

    def backprop(dYs):
        backprop_embed([back(dY) if back else dY for dY, (_, back) in zip(dYs, results, strict=True)])

    return [y for y, _ in results], backprop


@pytest.mark.parametrize("changes", VARIANTS)
def test_zero_boundary(docs, changes, engine):
    theirs, ours = make_pair(docs, boundary="zero", **changes)
    expected, expected_backprop = zero_boundary_reference(theirs, docs)
    assert_equal_vectors(ours.predict(docs), expected)
    Y, backprop = ours.begin_update(docs)
    assert_equal_vectors(Y, expected)
    backprop_random(backprop, Y)
    backprop_random(expected_backprop, expected)
    assert_equal_grads(ours, theirs)


@pytest.mark.parametrize("boundary", ["padded", "zero"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_finite_differences(docs, boundary, dropout, engine):
    _, model = make_pair(docs, boundary=boundary)
    set_dropout_rate(model, dropout)
    rng = numpy.random.default_rng(0)
    weights = [rng.normal(size=(len(doc), 16)).astype("f") for doc in docs]

    def run():
        fix_random_seed(0)
        Y, backprop = model.begin_update(docs)
        return sum(float((w.astype("d") * y).sum()) for w, y in zip(weights, Y, strict=True)), backprop

    def slope(param, step):
        param += step
        above, _ = run()
        param -= 2 * step
        below, _ = run()
        param += step
        return (above - below) / 2

    _, backprop = run()
    backprop(weights)
    for name, param, grad in params_and_grads(model):
        direction = grad / numpy.linalg.norm(grad)
        # A maximum that changes its piece on the way spoils one step size, a wrong gradient spoils all.
        slopes = [slope(param, size * direction) / size for size in (1e-3, 3e-4, 1e-4)]
        expected = float((grad * direction).sum())
        assert min(abs(found - expected) for found in slopes) < 2e-2 * abs(expected), name


def test_a_doc_does_not_depend_on_its_batch(docs, engine):
    _, model = make_pair(docs)
    alone = [model.predict([doc])[0] for doc in docs]
    assert_equal_vectors(model.predict(docs[::-1]), alone[::-1])


def test_without_tokens(vocab, docs):
    _, model = make_pair(docs)
    for batch in ([], [Doc(vocab, words=[])] * 2):
        Y, backprop = model.begin_update(batch)
        assert [y.shape for y in Y] == [(0, 16)] * len(batch)
        assert backprop(Y) == []
        assert [y.shape for y in model.predict(batch)] == [(0, 16)] * len(batch)


def test_vectors_are_slices_of_one_array(docs):
    _, model = make_pair(docs)
    Y = model.predict(docs)
    flat = Y[0].base
    assert all(y.base is flat for y in Y)
    assert_allclose(numpy.concatenate(Y), flat)


@pytest.mark.parametrize("has_vectors_for_all", [True, False])
def test_static_vectors(docs, vocab, has_vectors_for_all, engine):
    rng = numpy.random.default_rng(0)
    for doc in docs:
        for token in doc[: None if has_vectors_for_all else 2]:
            vocab.set_vector(token.text, rng.normal(size=(7,)).astype("f"))
    theirs, ours = make_pair(docs, pretrained_vectors=True)
    assert_equal_vectors(ours.predict(docs), theirs.predict(docs))
    Y, backprop = ours.begin_update(docs)
    expected, expected_backprop = theirs.begin_update(docs)
    backprop_random(backprop, Y)
    backprop_random(expected_backprop, expected)
    assert_equal_grads(ours, theirs)
    vocab.set_vector("play", numpy.ones(7, dtype="f"))
    assert_equal_vectors(ours.predict(docs), theirs.predict(docs))


def test_other_attributes(docs, engine):
    from spacy.ml.models.tok2vec import MaxoutWindowEncoder, MultiHashEmbed, build_Tok2Vec_model

    embedding = {"width": 16, "attrs": ["LOWER", "SHAPE", "IS_DIGIT"], "rows": [100, 50, 10]}
    encoder = {"depth": 2, "window_size": 1, "maxout_pieces": 2}
    theirs = build_Tok2Vec_model(
        MultiHashEmbed(**embedding, include_static_vectors=False), MaxoutWindowEncoder(width=16, **encoder)
    ).initialize(X=docs)
    ours = make_multi_hash_embed_cnn_v1(**embedding, include_static_vectors=False, **encoder).initialize(X=docs)
    load_spacy_weights(ours, theirs)
    assert_equal_vectors(ours.predict(docs), theirs.predict(docs))


def test_dropout_has_the_same_distribution(docs):
    theirs, ours = make_pair(docs, depth=2, width=8)
    batch = docs[3:6]
    n_samples = 400
    moments = []
    for model in (theirs, ours):
        fix_random_seed(1)
        set_dropout_rate(model, 0.4)
        samples = numpy.stack([numpy.concatenate(model.begin_update(batch)[0]) for _ in range(n_samples)])
        moments.append((samples.mean(0), samples.std(0)))
    (mean, std), (our_mean, our_std) = moments
    error = numpy.hypot(std, our_std) / n_samples**0.5
    assert abs((our_mean - mean) / error).mean() == pytest.approx(0.8, abs=0.15)
    assert (our_std / std).mean() == pytest.approx(1.0, abs=0.03)


def test_dropout_is_reproducible(docs, engine):
    _, model = make_pair(docs)
    set_dropout_rate(model, 0.3)

    def sample(seed):
        fix_random_seed(seed)
        return numpy.concatenate(model.begin_update(docs)[0])

    assert_allclose(sample(3), sample(3))
    assert abs(sample(3) - sample(4)).max() > 0.1
    set_dropout_rate(model, 0.0)
    assert_equal_vectors(model.begin_update(docs)[0], model.predict(docs))


def optimizer_step(model, docs, optimizer):
    Y, backprop = model.begin_update(docs)
    backprop([y.copy() for y in Y])
    model.finish_update(optimizer)


def predicts_like_a_copy(model, docs):
    """A copy has an empty cache."""
    Y, expected = numpy.concatenate(model.predict(docs)), numpy.concatenate(model.copy().predict(docs))
    assert_allclose(Y, expected, rtol=1e-6, atol=1e-6)
    return Y


class TestCacheFollowsTheWeights:
    @pytest.fixture
    def model(self, docs):
        _, model = make_pair(docs)
        model.predict(docs)
        return model

    def test_update_in_place(self, model, docs):
        before = predicts_like_a_copy(model, docs)
        optimizer_step(model, docs, Adam(0.01))
        assert abs(predicts_like_a_copy(model, docs) - before).max() > 1e-3

    def test_prediction_between_forward_and_update(self, model, docs):
        Y, backprop = model.begin_update(docs)
        model.predict(docs)
        backprop([y.copy() for y in Y])
        model.predict(docs)
        model.finish_update(Adam(0.01))
        predicts_like_a_copy(model, docs)

    def test_averages(self, model, docs):
        optimizer = Adam(0.01, use_averages=True)
        for _ in range(3):
            optimizer_step(model, docs, optimizer)
            own = predicts_like_a_copy(model, docs)
            with model.use_params(optimizer.averages):
                assert abs(predicts_like_a_copy(model, docs) - own).max() > 1e-4
            assert_allclose(predicts_like_a_copy(model, docs), own)

    def test_other_bytes(self, model, docs):
        saved, before = model.to_bytes(), predicts_like_a_copy(model, docs)
        optimizer_step(model, docs, Adam(0.01))
        predicts_like_a_copy(model, docs)
        model.from_bytes(saved)
        assert_allclose(predicts_like_a_copy(model, docs), before)

    @pytest.mark.parametrize("in_place", [True, False])
    def test_each_parameter(self, model, docs, in_place):
        for node in model.walk():
            for name in node.param_names:
                before = predicts_like_a_copy(model, docs)
                changed = node.get_param(name) * numpy.float32(1.5) + numpy.float32(0.1)
                if in_place:
                    node.get_param(name)[:] = changed
                else:
                    node.set_param(name, changed)
                assert abs(predicts_like_a_copy(model, docs) - before).max() > 1e-4, (node.name, name)

    def test_one_row_in_place(self, docs):
        # so large that only a sample of each row is compared
        _, model = make_pair(docs, embed_size=2000)
        model.predict(docs)
        (table, *_) = [node for node in model.walk() if node.name == "hashembed"]
        for row in range(0, 2000, 97):
            table.get_param("E")[row] += 1.0
            predicts_like_a_copy(model, docs)

    def test_attributes(self, model, docs):
        before = predicts_like_a_copy(model, docs)
        model.attrs["boundary"] = "zero"
        assert abs(predicts_like_a_copy(model, docs) - before).max() > 1e-3

    def test_copies_do_not_share(self, model, docs):
        for other in (model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            before = numpy.concatenate(model.predict(docs))
            assert_allclose(numpy.concatenate(other.predict(docs)), before, rtol=1e-6, atol=1e-6)
            optimizer_step(other, docs, Adam(0.01))
            predicts_like_a_copy(other, docs)
            assert_allclose(numpy.concatenate(model.predict(docs)), before)

    def test_is_bounded(self, model, docs, vocab, monkeypatch):
        monkeypatch.setattr(word_cache, "MAX_BYTES", 4 * (16 + 3 * 3 * 16) * 30)
        expected = numpy.concatenate(model.predict(docs))
        cache = model.attrs["words"]
        for i in range(20):
            batch = [Doc(vocab, words=[f"word{i}{j}" for j in range(10)])]
            model.predict(batch)
            assert len(cache.rows) <= 30
            assert len(cache.tables[0]) <= max(31, sum(len(doc) for doc in docs) + 1)
        assert_allclose(numpy.concatenate(model.predict(docs)), expected)

    def test_threads(self, model, vocab):
        rng = numpy.random.default_rng(0)
        batches = [
            [Doc(vocab, words=[f"w{n}" for n in rng.integers(500, size=length)]) for length in rng.integers(1, 30, 12)]
            for _ in range(24)
        ]
        expected = [numpy.concatenate(model.copy().predict(batch)) for batch in batches]
        with ThreadPoolExecutor(6) as pool:
            for Y, y in zip(pool.map(model.predict, batches), expected, strict=True):
                assert_allclose(numpy.concatenate(Y), y, rtol=1e-5, atol=1e-5)


def test_bytes_are_those_of_spacy(docs, tmp_path):
    theirs, ours = make_pair(docs)
    ours.to_disk(tmp_path / "ours")
    theirs.to_disk(tmp_path / "theirs")
    fresh = make_hash_embed_cnn_v1(**SETTINGS).from_disk(tmp_path / "theirs")
    assert_equal_vectors(fresh.predict(docs), theirs.predict(docs))
    fresh = build_hash_embed_cnn_tok2vec(**SETTINGS).from_disk(tmp_path / "ours")
    assert_equal_vectors(fresh.predict(docs), theirs.predict(docs))
    assert fresh.can_from_bytes(ours.to_bytes())
    assert ours.copy().from_bytes(ours.to_bytes()).to_bytes() == ours.to_bytes()


def test_boundary_is_saved(docs):
    _, model = make_pair(docs, boundary="zero")
    loaded = make_hash_embed_cnn_v1(**SETTINGS).from_bytes(model.to_bytes())
    assert_equal_vectors(loaded.predict(docs), model.predict(docs))


def test_load_weights_of_other_settings(docs):
    theirs = build_hash_embed_cnn_tok2vec(**{**SETTINGS, "width": 8}).initialize(X=docs)
    model = make_hash_embed_cnn_v1(**SETTINGS).initialize(X=docs)
    with pytest.raises(ValueError, match="settings differ"):
        load_spacy_weights(model, theirs)


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="depth is 0"):
        make_hash_embed_cnn_v1(**{**SETTINGS, "depth": 0})
    with pytest.raises(ValueError, match="'zeros'"):
        make_hash_embed_cnn_v1(**SETTINGS, boundary="zeros")


def test_width_is_known_before_initialisation():
    model = make_hash_embed_cnn_v1(**SETTINGS)
    assert model.get_dim("nO") == 16
    assert model.get_ref("embed") is model.layers[0]
    assert model.get_ref("encode") is model.layers[1]


@pytest.mark.skipif(not has_torch, reason="no torch")
@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
def test_torch_threads(docs, n_threads, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    theirs, ours = make_pair(docs)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        Y, backprop = ours.begin_update(docs)
        backprop_random(backprop, Y)
        assert_equal_vectors(ours.predict(docs), theirs.predict(docs))
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    expected, expected_backprop = theirs.begin_update(docs)
    backprop_random(expected_backprop, expected)
    assert_equal_vectors(Y, expected)
    assert_equal_grads(ours, theirs)


def predict_in_child(model, docs, connection):
    connection.send(numpy.concatenate(model.predict(docs)))


def test_forked_process(docs, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    _, model = make_pair(docs)
    batch = docs * 20
    expected = numpy.concatenate(model.predict(batch))
    context = multiprocessing.get_context("fork")
    ours, childs = context.Pipe()
    child = context.Process(target=predict_in_child, args=(model, batch, childs), daemon=True)
    child.start()
    assert ours.poll(30), "the child hangs"
    assert_allclose(ours.recv(), expected, rtol=1e-6, atol=1e-6)
    child.join()


def test_long_doc(vocab):
    rng = numpy.random.default_rng(0)
    doc = Doc(vocab, words=[f"w{n}" for n in rng.zipf(1.3, 20_000) % 3000])
    theirs, ours = make_pair([doc[:50].as_doc()])
    assert_equal_vectors(ours.predict([doc]), theirs.predict([doc]))
    Y, backprop = ours.begin_update([doc])
    backprop_random(backprop, Y)


@pytest.mark.parametrize("lengths", [(1,), (2,), (7, 1, 30)])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("tile", [1, 2])
def test_plan_reads_each_token_and_its_neighbours(lengths, padded, tile):
    plan = plan_windows(lengths, window=1, tiles=[tile], padded=padded)
    taps = plan.windows[0]
    first, last = set(), set()
    for end in numpy.cumsum(lengths):
        last.add(end)
    for length, end in zip(lengths, numpy.cumsum(lengths), strict=True):
        first.add(end - length + 1)
    n_tiles = taps.shape[1]
    for token, row in enumerate(plan.tokens, start=1):
        phase, column = divmod(row, n_tiles)
        before, center, after = taps[phase : phase + 3, column]
        assert center == token
        assert before == (0 if token in first else token - 1)
        assert after == (0 if token in last else token + 1)


spacy.registry.architectures("test_fast_hash_embed_cnn", func=make_hash_embed_cnn_v1)


def tagger_pipeline(architecture) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {"@architectures": architecture, **SETTINGS}})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    return nlp


def test_tok2vec_pipe_trains_like_spacys(tmp_path):
    words = ["the dog runs", "a cat sleeps here", "dogs bark", "the cats run"]
    tags = ["D N V", "D N V R", "N V", "D N V"]
    losses = {}
    for architecture in ("spacy.HashEmbedCNN.v2", "test_fast_hash_embed_cnn"):
        nlp = tagger_pipeline(architecture)
        examples = [
            Example.from_dict(Doc(nlp.vocab, words=w.split()), {"tags": t.split()})
            for w, t in zip(words, tags, strict=True)
        ]
        fix_random_seed(0)
        optimizer = nlp.initialize(lambda examples=examples: examples)
        losses[architecture] = [nlp.update(examples, sgd=optimizer, drop=0.0, losses={})["tagger"] for _ in range(40)]
    theirs, ours = losses.values()
    assert_allclose(ours, theirs, rtol=2e-2, atol=2e-2)
    assert ours[-1] < 0.1 * ours[0]
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for text in words:
        assert [t.tag_ for t in loaded(text)] == [t.tag_ for t in nlp(text)]
        assert_allclose(loaded(text).tensor, nlp(text).tensor, rtol=1e-6, atol=1e-6)
    with nlp.select_pipes(disable="tagger"):
        assert [t.tag_ for t in nlp.get_pipe("tagger").pipe(nlp.pipe(words)).__next__()] == tags[0].split()


def test_pretrain(docs, vocab):
    _, tok2vec = make_pair(docs)
    for word in ("play", "song"):
        vocab[word].prob = -1.0
    model = create_pretrain_characters(maxout_pieces=2, hidden_size=8, n_characters=2)(vocab, tok2vec)
    model.initialize(X=docs[:1])
    optimizer = Adam(0.01)
    losses = [make_update(model, docs, optimizer, model.attrs["loss"]) for _ in range(10)]
    assert losses[-1] < losses[0]
    # what `spacy pretrain` saves, and what `init_tok2vec` loads
    saved = model.get_ref("tok2vec").to_bytes()
    loaded = build_hash_embed_cnn_tok2vec(**SETTINGS).from_bytes(saved)
    assert_equal_vectors(loaded.predict(docs), tok2vec.predict(docs))


def test_equals_spacy_on_corpus(data_dir, vocab, engine):
    docs = list(DocBin().from_disk(data_dir / "ewt" / "dev.spacy").get_docs(vocab))[:200]
    theirs, ours = make_pair(docs[:5], width=96, embed_size=2000)
    for batch in (docs[:128], docs[128:], docs):
        assert_equal_vectors(ours.predict(batch), theirs.predict(batch))
    Y, _ = ours.begin_update(docs)
    assert_equal_vectors(Y, theirs.predict(docs))
