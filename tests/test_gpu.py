"""Results on an NVIDIA GPU are the same as on a CPU, up to rounding."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from numpy.testing import assert_allclose
from pipelines import EMBED, JOINT, assert_learns, heads_config, make_examples, train, weights_of
from pipelines import ENCODER as SPACY_ENCODER
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Ragged, fix_random_seed, get_current_ops, require_cpu, require_gpu, set_dropout_rate
from thinc.util import has_cupy_gpu, to_numpy

from spacy_mtl.crf import linear_chain as crf
from spacy_mtl.layers.linear import linear
from spacy_mtl.layers.optimizer_step import finish_layers
from spacy_mtl.layers.pooling import pooling
from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.origin import mark
from spacy_mtl.training.state import load_state, save_state

pytestmark = pytest.mark.gpu

FAST = {**SPACY_ENCODER, "@architectures": "spacy_mtl.HashEmbedCNN.v1", "rare_word_dropout": 1.0}
ENCODERS: dict[str, dict[str, Any]] = {
    "fast": FAST,
    "fast, zeros outside": {**FAST, "boundary": "zero", "word_dropout": 0.1},
    "fast, window 2": {**FAST, "window_size": 2, "depth": 1},
    "spaCy": SPACY_ENCODER,
    "LSTM": {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": EMBED,
        "encode": {"@architectures": "spacy.TorchBiLSTMEncoder.v1", "width": 32, "depth": 1, "dropout": 0.0},
    },
}
ALL_HEADS = heads_config(
    topic={"kind": "DocClassifier", "pooling": ["attention"]},
    tag={"kind": "Tagger", "label_smoothing": 0.1},
    morph={"kind": "Tagger", "attr": "morph"},
    ents={"kind": "EntityRecognizer", "scheme": "BILUO", "condition_on": ["topic", "tag"]},
    spans={"kind": "EntityRecognizer", "spans_key": "sc"},
)
TEXT = "play some jazz in Berlin"


@pytest.fixture(autouse=True)
def gpu():
    if not has_cupy_gpu:
        pytest.skip("no NVIDIA GPU that cupy can use")
    require_gpu()
    fix_random_seed(0)
    yield
    require_cpu()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers")
    from tiny_transformers import write_bert

    return write_bert(tmp_path_factory.mktemp("bert"))


def build(encoder: dict[str, Any], heads: dict[str, Any] | None = None, **settings: Any) -> Language:
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder, **settings}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT if heads is None else heads})
    return nlp


def make(encoder: dict[str, Any], heads: dict[str, Any] | None = None, **settings: Any) -> Language:
    nlp = build(encoder, heads, **settings)
    nlp.initialize(lambda: examples(nlp))
    return nlp


def examples(nlp: Language) -> list[Example]:
    """The small examples, with tags and morphology too, and a doc that is empty and one of white space."""
    found = make_examples(nlp)
    for eg in found:
        for token in eg.reference:
            token.tag_ = "NN" if token.text[0].isupper() else "XX"
            token.set_morph("Case=Nom" if token.i % 2 else "Case=Acc")
    for text in ("", "  "):
        found.append(Example(nlp.make_doc(text), nlp.make_doc(text)))
    return found


def copy_to_cpu(nlp: Language) -> Language:
    """The same pipeline in main memory."""
    saved = nlp.to_bytes()
    require_cpu()
    copied = spacy.util.load_model_from_config(nlp.config)
    copied.from_bytes(saved)
    return copied


def annotation(doc: Doc) -> Any:
    spans = {key: [(s.start, s.end, s.label_) for s in group] for key, group in doc.spans.items()}
    return [(t.tag_, str(t.morph), t.ent_iob_, t.ent_type_) for t in doc], spans


def assert_same(one: Language, other: Language, texts: list[str]) -> None:
    """Both find the same in the texts."""
    for mine, theirs in zip(*(list(nlp.pipe(texts)) for nlp in (one, other)), strict=True):
        assert annotation(mine) == annotation(theirs)
        assert mine.cats.keys() == theirs.cats.keys()
        assert_allclose([mine.cats[key] for key in mine.cats], [theirs.cats[key] for key in mine.cats], atol=1e-3)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_update_is_that_of_the_cpu(name: str) -> None:
    nlp = make(ENCODERS[name])
    twin = copy_to_cpu(nlp)
    losses: list[dict[str, float]] = []
    moved = []
    for one, use in ((nlp, require_gpu), (twin, require_cpu)):
        use()
        pipe = one.get_pipe("multitask")
        for node in pipe.model.walk():
            node.attrs.update({key: 0.0 for key in ("word_dropout", "rare_word_dropout") if key in node.attrs})
        set_dropout_rate(pipe.model, 0.0)
        optimizer = one.create_optimizer()
        losses.append(one.update(examples(one), sgd=optimizer, losses={}))
        moved.append({key: to_numpy(value) for key, value in weights_of(pipe).items()})
    assert losses[0].keys() == losses[1].keys()
    assert_allclose(list(losses[0].values()), list(losses[1].values()), rtol=1e-4)
    for key, value in moved[0].items():
        # Adam's first step has the length of the learning rate, whichever sign a gradient near zero has
        assert np.abs(value - moved[1][key]).mean() < 1e-4, key


@pytest.mark.parametrize("name", ENCODERS)
def test_it_learns_and_a_cpu_finds_the_same(name: str, tmp_path: Path) -> None:
    nlp = make(ENCODERS[name], ALL_HEADS)
    first = train(nlp, examples(nlp), steps=1)["multitask"]
    assert train(nlp, examples(nlp), steps=60)["multitask"] < first / 3
    nlp.to_disk(tmp_path)
    assert_same(nlp, spacy.load(tmp_path), [TEXT, "where is Anna Schmidt", "", " "])
    texts = list(nlp.pipe([TEXT, "play Anna"]))
    require_cpu()
    on_cpu = spacy.load(tmp_path)
    for doc in texts:
        assert annotation(doc) == annotation(on_cpu(doc.text))


@pytest.mark.parametrize(
    ("layers", "sharing"),
    [
        ("all", {"@mtl_sharing": "spacy_mtl.LayerMix.v1", "n_layers": 3}),
        ("last", {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head", "width": 8}),
    ],
)
def test_sharing_layers_learn(bert: str, layers: str, sharing: dict[str, Any]) -> None:
    encoder = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert, "layers": layers}
    assert_learns(make(encoder, sharing=sharing))


def test_an_adversary_learns() -> None:
    heads = {**JOINT, "domain": {"@mtl_heads": "spacy_mtl.DomainAdversary.v1", "total_steps": 10}}
    nlp = build(FAST, heads)
    gold = examples(nlp)
    for index, eg in enumerate(gold):
        mark(eg.reference, f"corpus {index % 2}")
    nlp.initialize(lambda: gold)
    losses = train(nlp, gold, steps=3)
    assert np.isfinite(list(losses.values())).all()
    assert losses["multitask/domain"] > 0


def test_partial_gold_and_rehearsal() -> None:
    nlp = make(FAST)
    gold = examples(nlp)
    gold[0].reference.set_ents([], missing=[gold[0].reference[0:2]], default="outside")
    before = train(nlp, gold, steps=1)["multitask"]
    assert train(nlp, gold, steps=40)["multitask"] < before
    optimizer = nlp.resume_training()
    losses = nlp.rehearse(make_examples(nlp), sgd=optimizer, losses={})
    assert np.isfinite(list(losses.values())).all()
    nlp.get_pipe("multitask").add_label("MOOD", head="slots")
    nlp.update(gold, sgd=nlp.resume_training())
    confidences = nlp.get_pipe("multitask").confidences([nlp.make_doc(TEXT)])
    assert all(0.0 <= float(value[0]) <= 1.0 for value in confidences.values())


def transformer(bert: str, **settings: Any) -> Language:
    return make({"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert, **settings})


@pytest.mark.parametrize("settings", [{}, {"pooling": "max"}, {"mixed_precision": True}], ids=str)
def test_a_transformer_learns_and_a_cpu_finds_the_same(bert: str, settings: dict[str, Any], tmp_path: Path) -> None:
    nlp = transformer(bert, **settings)
    assert_learns(nlp)
    docs = list(nlp.pipe([TEXT, "where is Anna Schmidt", "", " "]))
    nlp.to_disk(tmp_path)
    require_cpu()
    on_cpu = spacy.load(tmp_path)
    assert on_cpu.get_pipe("multitask").encoder.get_ref("tok2vec").shims[0].device.type == "cpu"
    for doc in docs:
        assert annotation(doc) == annotation(on_cpu(doc.text))


def test_its_first_update_is_that_of_the_cpu(bert: str) -> None:
    nlp = transformer(bert)
    twin = copy_to_cpu(nlp)
    found: list[Any] = []
    for one, use in ((nlp, require_gpu), (twin, require_cpu)):
        use()
        optimizer = make_optimizer_v1(0.01, L2=0.01)
        losses = one.update(examples(one), sgd=optimizer, losses={})
        shim = one.get_pipe("multitask").encoder.get_ref("tok2vec").shims[0]
        weights = {name: param.detach().cpu().numpy() for name, param in shim.module.named_parameters()}
        weights |= {str(key): to_numpy(value) for key, value in weights_of(one.get_pipe("multitask")).items()}
        assert not any(param.grad.any() for param in shim.module.parameters() if param.grad is not None)
        found.append((losses, weights))
    assert_allclose(list(found[0][0].values()), list(found[1][0].values()), rtol=1e-4)
    for name, value in found[0][1].items():
        assert np.abs(value - found[1][1][name]).mean() < 1e-4, name


def test_gradients_in_16_bits_add_up_over_updates(bert: str) -> None:
    found = []
    for mixed_precision in (False, True):
        fix_random_seed(0)
        nlp = transformer(bert, mixed_precision=mixed_precision)
        shim = nlp.get_pipe("multitask").encoder.get_ref("tok2vec").shims[0]
        gradients: dict[str, Any] = {}

        def keep(key: Any, weights: Any, gradient: Any, seen: dict[str, Any] = gradients) -> Any:
            seen[key[1]] = to_numpy(gradient).copy()
            return weights, gradient

        for _ in range(2):
            nlp.update(make_examples(nlp), sgd=False)
        shim.finish_update(keep)
        found.append(gradients)
    name = "transformer.encoder.layer.1.output.dense.weight"
    assert np.abs(found[0][name]).max() > 1e-4
    assert_allclose(found[1][name], found[0][name], atol=0.02 * np.abs(found[0][name]).max())


def test_a_crf_near_and_far_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = make({**FAST, "rare_word_dropout": 0.0}, ALL_HEADS)
    expected = nlp.update(examples(nlp), sgd=False, losses={})
    monkeypatch.setattr(crf, "FEW_NUMBERS", 0)
    assert_allclose(list(nlp.update(examples(nlp), sgd=False, losses={}).values()), list(expected.values()), rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"L2": 0.1}, {"L2": 0.1, "L2_is_weight_decay": False, "grad_clip": 0.0}])
def test_layers_are_updated_together_as_one_by_one(settings: dict[str, Any]) -> None:
    layers = [linear(3, 5).initialize() for _ in range(2)]
    optimizers = [make_optimizer_v1(0.1, use_averages=True, **settings) for _ in range(2)]
    layers[1].from_bytes(layers[0].to_bytes())
    for step in range(5):
        X = get_current_ops().asarray(np.random.default_rng(step).normal(size=(7, 5)).astype("f"))
        for layer, optimizer, together in zip(layers, optimizers, (True, False), strict=True):
            Y, backprop = layer.begin_update(X)
            backprop(Y - 1.0)
            if together:
                finish_layers([layer], optimizer)
            else:
                layer.finish_update(optimizer)
            assert not layer.get_grad("W").any()
    for name in ("W", "b"):
        assert_allclose(*(to_numpy(layer.get_param(name)) for layer in layers), rtol=1e-4, atol=1e-6)
        averages = [optimizer.averages[layer.id, name] for layer, optimizer in zip(layers, optimizers, strict=True)]
        assert_allclose(*map(to_numpy, averages), rtol=1e-4, atol=1e-6)


def test_docs_are_pooled_as_on_a_cpu() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 1, 40, 2], dtype="i")
    X, dY = rng.normal(size=(lengths.sum(), 20)).astype("f"), rng.normal(size=(len(lengths), 40)).astype("f")
    X[1] = X[0]
    found = []
    for use in (require_cpu, require_gpu):
        use()
        model, ops = pooling(["mean", "max"]), get_current_ops()
        Y, backprop = model.begin_update(Ragged(ops.asarray(X), ops.asarray(lengths)))
        found.append([to_numpy(Y), to_numpy(backprop(ops.asarray(dY)).dataXd)])
    for mine, theirs in zip(*found, strict=True):
        assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_averages_are_kept_where_the_weights_are(bert: str) -> None:
    nlp = transformer(bert)
    optimizer = make_optimizer_v1(0.01, use_averages=True)
    for _ in range(3):
        nlp.update(make_examples(nlp), sgd=optimizer)
    before = nlp(TEXT).cats
    with nlp.use_params(optimizer.averages):
        averaged = nlp(TEXT).cats
    assert averaged != before
    assert nlp(TEXT).cats == before


def test_compiled_gives_the_same(bert: str) -> None:
    nlp = transformer(bert)
    other = transformer(bert, compiled=True)
    other.from_bytes(nlp.to_bytes())
    assert_same(nlp, other, [TEXT, "where is Anna Schmidt"])
    losses = [one.update(make_examples(one), sgd=one.create_optimizer(), losses={}) for one in (nlp, other)]
    assert_allclose(list(losses[0].values()), list(losses[1].values()), rtol=1e-3)
    assert_same(nlp, other, [TEXT])


def test_out_of_memory_names_the_batch_and_training_goes_on(bert: str) -> None:
    import torch

    nlp = transformer(bert, max_batch=10**9)
    optimizer = nlp.create_optimizer()
    pipe = nlp.get_pipe("multitask")
    before = {key: to_numpy(value) for key, value in weights_of(pipe).items()}
    reference = nlp.make_doc(" ".join([TEXT] * 10))
    reference.cats = {"play": 1.0, "ask": 0.0}
    large = [Example(nlp.make_doc(reference.text), reference)] * 20_000
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.01)
    try:
        with pytest.raises(MemoryError, match=r"out of memory on a batch of \d+ rows of \d+ pieces"):
            nlp.update(large, sgd=optimizer)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    for key, value in weights_of(pipe).items():
        assert np.array_equal(to_numpy(value), before[key])
    assert_learns(nlp)


def test_training_state_is_saved_and_loaded(bert: str, tmp_path: Path) -> None:
    nlp = transformer(bert)
    optimizer = make_optimizer_v1(0.01)
    for _ in range(3):
        nlp.update(make_examples(nlp), sgd=optimizer)
    save_state(optimizer, nlp, tmp_path / "state")
    nlp.to_disk(tmp_path / "model")
    losses = [nlp.update(make_examples(nlp), sgd=optimizer, losses={})["multitask"] for _ in range(3)]
    again = spacy.load(tmp_path / "model")
    resumed = make_optimizer_v1(0.01)
    load_state(resumed, again, tmp_path / "state")
    assert_allclose(
        [again.update(make_examples(again), sgd=resumed, losses={})["multitask"] for _ in range(3)], losses, rtol=1e-3
    )


@pytest.mark.parametrize("config", ["cpu.cfg", "transformer_fast.cfg", "transformer.cfg"])
def test_spacy_train(config: str, bert: str, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    docs = [eg.reference for eg in make_examples(nlp)]
    DocBin(docs=docs * 8, store_user_data=True).to_disk(tmp_path / "docs.spacy")
    overrides: dict[str, Any] = {f"paths.{split}": tmp_path / "docs.spacy" for split in ("train", "dev")}
    overrides |= {"training.max_steps": 20, "training.eval_frequency": 10}
    overrides |= {"training.optimizer.learn_rate.total_steps": 20}
    if config != "cpu.cfg":
        overrides["paths.transformer"] = bert
    path = Path(__file__).parents[1] / "configs" / config
    command: list[Any] = [sys.executable, "-m", "spacy", "train", path, "--output", tmp_path / "out", "--gpu-id", 0]
    command += [part for key, value in overrides.items() for part in (f"--{key}", value)]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    require_cpu()
    assert spacy.load(tmp_path / "out" / "model-last")(TEXT).cats
