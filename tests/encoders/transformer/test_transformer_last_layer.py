"""The backprop of a transformer's last layer alone gives the gradients that the whole backward pass gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from tiny_transformers import write_bert

from spacy_mtl.encoders.transformer.transformer_encoder import make_transformer_encoder_v1
from spacy_mtl.layers.last_layer import LAST_LAYER

pytest.importorskip("torch")
pytest.importorskip("transformers")

# the last layer's matrix in the names of its module; ALBERT's layers are one and the same
TYPES = {
    "bert": "encoder.layer.1.output.dense",
    "roberta": "encoder.layer.1.output.dense",
    "distilbert": "transformer.layer.1.ffn.lin2",
    "albert": "encoder.albert_layer_groups.0.albert_layers.0.ffn_output",
    "deberta-v2": "encoder.layer.1.output.dense",
    "modernbert": "layers.1.mlp.Wo",
}
DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "dropout": 0.0, "attention_dropout": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "distilbert": DISTILBERT,
    "albert": {"embedding_size": 16, "inner_group_num": 1},
    "roberta": {"pad_token_id": 1},
    "deberta-v2": {"relative_attention": True, "norm_rel_ebd": "layer_norm", "position_buckets": 8},
    "modernbert": {"reference_compile": False, "attn_implementation": "eager"},
}


@pytest.mark.parametrize("layers", ["last", "all"])
@pytest.mark.parametrize("model_type", TYPES)
def test_equals_what_the_whole_backward_pass_adds(model_type: str, layers: str, tmp_path: Path) -> None:
    name = write_bert(tmp_path / "model", model_type=model_type, **SETTINGS.get(model_type, {}))
    # several batches
    model = make_transformer_encoder_v1(name, layers=layers, max_batch=8)
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in ("play some jazz in Berlin", "", "who is Anna Schmidt", "the unbelievable")]
    model.initialize(docs)
    last_layer = model.attrs[LAST_LAYER]
    tokvecs, backprop = model(docs, True)
    rng = np.random.default_rng(0)
    d_tokvecs = [rng.normal(size=one.shape).astype("f") for one in tokvecs]
    whole = np.concatenate(d_tokvecs)
    flat, *parts = last_layer.backprop([whole, whole * 0.25, whole * 0.75])
    params = dict(model.shims[0].module.transformer.named_parameters())
    assert all(param.grad is None for param in params.values())
    backprop(d_tokvecs)
    assert last_layer.backprop is None
    last = [param for key, param in params.items() if key.startswith(f"{TYPES[model_type]}.")]
    expected = np.concatenate([param.grad.numpy().ravel() for param in last])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(flat, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(sum(parts), flat, rtol=1e-3, atol=1e-4)


def test_a_compiled_transformer_has_none(tmp_path: Path) -> None:
    assert LAST_LAYER not in make_transformer_encoder_v1("bert", compiled=True).attrs


def test_it_does_not_get_in_the_way_of_saving(tmp_path: Path) -> None:
    model = make_transformer_encoder_v1(write_bert(tmp_path / "model"))
    docs = [spacy.blank("en").make_doc("play some jazz")]
    model.initialize(docs)
    model(docs, True)
    loaded = make_transformer_encoder_v1("unknown").from_bytes(model.to_bytes())
    assert loaded.attrs[LAST_LAYER].backprop is None
    assert model.copy().attrs[LAST_LAYER].backprop is None
