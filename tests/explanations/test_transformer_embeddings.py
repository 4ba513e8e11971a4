"""Explanations through a transformer: its word pieces' embeddings, windows, and both ways to put it into a pipeline."""

import numpy as np
import pytest
from pipelines import make_examples, train
from spacy.tokens import Doc

import spacy_mtl
from spacy_mtl.explanations.explain import choose_target, make_network
from spacy_mtl.protocols.embeddings import EMBED

pytest.importorskip("transformers")

from tiny_transformers import transformer_pipeline, write_bert

TEXT = "play  unbelievable jazz in Berlin"


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def folder(request, tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"), model_type=request.param, positions=24)


@pytest.mark.parametrize("listener", [False, True])
def test_completeness_and_finite_differences(folder, listener):
    nlp = transformer_pipeline(folder, listener=listener)
    train(nlp, make_examples(nlp), steps=8)
    for head, wanted in (("intent", None), ("slots", "LOC[5:6]")):
        found = spacy_mtl.explain(nlp, TEXT, head=head, target=wanted)
        difference = found.value - found.baseline_value
        assert abs(sum(found.scores) - difference) <= 0.01 * max(abs(difference), 0.1)
        assert found.scores[1] == 0.0, "white space has no pieces"
        network = make_network(nlp, TEXT, head, None)
        target, embedded = choose_target(network, head, wanted), network.embedded
        tokvecs, backprop = embedded.encode(embedded.vectors)
        gradient = backprop(network.differentiate(tokvecs, head, target)[1])
        direction = np.random.default_rng(0).normal(size=gradient.shape).astype("f")
        sides = [
            network.value(embedded.encode(embedded.vectors + np.float32(step) * direction)[0], head, target)
            for step in (1e-3, -1e-3)
        ]
        assert float((gradient * direction).sum()) == pytest.approx((sides[0] - sides[1]) / 2e-3, rel=0.05, abs=5e-3)


def test_embeddings_encode_to_what_the_encoder_predicts(folder):
    nlp = transformer_pipeline(folder, listener=False)
    encoder = nlp.get_pipe("multitask").encoder.get_ref("tok2vec")
    docs = [nlp.make_doc(text) for text in (TEXT, "play " * 60, "who is Anna Schmidt")]
    embedded = encoder.attrs[EMBED](encoder, docs)
    tokvecs, _ = embedded.encode(embedded.vectors)
    assert np.allclose(tokvecs, np.concatenate(encoder.predict(docs)), atol=1e-5)
    n_tokens = sum(map(len, docs))
    # every word but white space has a row; special pieces and padding belong to nobody, and are their own baseline
    spaces = [token.i for token in docs[0] if token.is_space]
    assert set(embedded.owners.tolist()) == {-1, *range(n_tokens)} - set(spaces)
    nobody = embedded.owners == -1
    assert np.array_equal(embedded.baseline[nobody], embedded.vectors[nobody])


def test_nothing_is_changed(folder):
    import torch

    nlp = transformer_pipeline(folder, listener=False)
    nlp.update(make_examples(nlp), sgd=False)
    encoder = nlp.get_pipe("multitask").encoder.get_ref("tok2vec")
    shim = encoder.shims[0]

    def state():
        arrays = [array for param in shim.module.parameters() for array in (param, param.grad)]
        return [array.detach().numpy().tobytes() for array in arrays if array is not None]

    before, known, random = state(), dict(shim.pieces.rows), torch.get_rng_state()
    for method in ("integrated_gradients", "gradient_x_input", "occlusion"):
        spacy_mtl.explain(nlp, TEXT, head="intent", method=method)
    assert state() == before
    assert shim.pieces.rows == known
    assert torch.equal(torch.get_rng_state(), random)


def test_occlusion_replaces_all_pieces_of_a_word(folder):
    nlp = transformer_pipeline(folder, listener=False)
    found = spacy_mtl.explain(nlp, TEXT, head="intent", method="occlusion")
    network = make_network(nlp, TEXT, "intent", None)
    target, embedded = choose_target(network, "intent", None), network.embedded
    own = np.flatnonzero(embedded.owners == 2)
    assert len(own) > 1
    vectors = embedded.vectors.copy()
    vectors[own] = embedded.baseline[own]
    value = network.value(embedded.encode(vectors)[0], "intent", target)
    assert found.scores[2] == pytest.approx(found.value - value, abs=1e-5)


def test_a_transformer_that_takes_no_embeddings_is_explained_by_occlusion(folder, monkeypatch):
    nlp = transformer_pipeline(folder, listener=False)
    transformer = nlp.get_pipe("multitask").encoder.get_ref("tok2vec").shims[0].module.transformer
    forward = transformer.forward
    monkeypatch.setattr(
        transformer,
        "forward",
        lambda input_ids, **others: forward(input_ids=input_ids, **others),
    )
    with pytest.raises(ValueError, match=r'does not offer; use method = "occlusion"'):
        spacy_mtl.explain(nlp, TEXT, head="intent")
    found = spacy_mtl.explain(nlp, TEXT, head="intent", method="occlusion")
    assert len(found.scores) == 6
    assert any(found.scores)


@pytest.mark.parametrize("words", [["jazz"], ["  "], ["unbelievable"]])
def test_short_docs(folder, words):
    """A token that is white space has no piece, so that nothing depends on it."""
    nlp = transformer_pipeline(folder, listener=False)
    found = spacy_mtl.explain(nlp, Doc(nlp.vocab, words=words, spaces=[False]), head="intent")
    assert found.completeness_gap <= 0.01
    assert any(found.scores) == bool(words[0].strip())
