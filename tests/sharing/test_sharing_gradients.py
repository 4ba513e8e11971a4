"""Gradients of every sharing layer equal finite differences in float64, for the input and for each parameter."""

import numpy as np
import pytest
from spacy.tokens import Doc
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Ragged, fix_random_seed

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.origin import name_corpus
from spacy_mtl.protocols.sharing import SharingInput

LAYERS = [
    ("Adapters", {"by": "head", "width": 3}),
    ("Adapters", {"by": "corpus", "width": 3}),
    ("CrossStitch", {}),
    ("CrossStitch", {"depth": 3}),
    ("LayerMix", {"n_layers": 2}),
    ("MMoE", {"n_experts": 1, "width": 5}),
    ("MMoE", {"n_experts": 3, "width": 7}),
    ("PLE", {"width": 5}),
    ("PLE", {"n_shared": 1, "n_own": 2, "width": 4, "n_levels": 2}),
    pytest.param("PLE", {"n_shared": 1, "n_own": 2, "width": 6, "n_levels": 3}, marks=pytest.mark.slow),
]
HEADS = ["one", "two", "three"]
LENGTHS = [3, 0, 4]
VOCAB = Vocab()


def make_layer(name, settings):
    """An initialised layer for vectors of width 4 whose parameters are float64, and all of them random."""
    fix_random_seed(0)
    layer = registry.get("mtl_sharing", f"spacy_mtl.{name}.v1")(**settings)
    layer.attrs["heads"], layer.attrs["corpora"] = HEADS, ["a", "b"]
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(sum(LENGTHS), 4))
    layer.initialize(make_input(vectors.astype("f")))
    for param in layer.param_names:
        weights = layer.get_param(param)
        layer.set_param(param, weights.astype("d") + 0.3 * rng.normal(size=weights.shape))
    return layer, vectors


def make_input(vectors):
    docs = [Doc(VOCAB, words=["x"] * n) for n in LENGTHS]
    for doc, corpus in zip(docs, "aab", strict=True):
        name_corpus(doc, corpus)
    return SharingInput(docs, Ragged(vectors, np.array(LENGTHS, dtype="i")))


@pytest.mark.parametrize("heads", [HEADS, ["two"]], ids=["all", "one"])
@pytest.mark.parametrize(("name", "settings"), LAYERS, ids=str)
def test_equal_finite_differences(name, settings, heads):
    layer, vectors = make_layer(name, settings)
    rng = np.random.default_rng(1)
    views, backprop = layer(make_input(vectors), True)
    d_views = {head: Ragged(rng.normal(size=views[head].dataXd.shape), views[head].lengths) for head in heads}

    def loss():
        found = layer(make_input(vectors), False)[0]
        return sum(float((d_views[head].dataXd * found[head].dataXd).sum()) for head in heads)

    checked = {"vectors": (vectors, backprop(d_views).tokvecs.dataXd)}
    checked |= {p: (layer.get_param(p), layer.get_grad(p)) for p in layer.param_names if layer.has_grad(p)}
    assert len(checked) > 1
    for param, (array, gradient) in checked.items():
        assert gradient.shape == array.shape
        direction, kept, around = rng.normal(size=array.shape), array.copy(), []
        for sign in (1, -1):
            array[:] = kept + sign * 1e-7 * direction
            around.append(loss())
        array[:] = kept
        expected = float((direction * gradient).sum())
        assert (around[0] - around[1]) / 2e-7 == pytest.approx(expected, rel=1e-5, abs=1e-6), param


@pytest.mark.parametrize(("name", "settings"), LAYERS, ids=str)
def test_what_belongs_to_another_head_alone_gets_no_gradient(name, settings):
    """Columns that are stitched, and the levels of PLE before the last, belong to all."""
    layer, vectors = make_layer(name, settings)
    views, backprop = layer(make_input(vectors), True)
    backprop({"two": Ragged(np.ones(views["two"].dataXd.shape), views["two"].lengths)})
    moved = {p.split("/")[0] for p in layer.param_names if layer.has_grad(p) and layer.get_grad(p).any()}
    shared = name == "CrossStitch" or settings.get("n_levels", 1) > 1
    assert moved & set(HEADS) == set(HEADS) if shared else moved & set(HEADS) <= {"two"}
