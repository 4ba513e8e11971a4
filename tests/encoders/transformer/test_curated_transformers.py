"""The component on a pipe of spacy-curated-transformers."""

from pathlib import Path
from typing import Any

import numpy
import pytest
import spacy
from pipelines import JOINT, assert_learns, make_examples
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

pytest.importorskip("torch")
pytest.importorskip("spacy_curated_transformers")

MODEL = {
    "@architectures": "spacy-curated-transformers.BertTransformer.v1",
    "hidden_width": 16,
    "intermediate_width": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 64,
    "model_max_length": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "piece_encoder": {"@architectures": "spacy-curated-transformers.BertWordpieceEncoder.v1"},
    "with_spans": {"@architectures": "spacy-curated-transformers.WithStridedSpans.v1"},
}
LISTENER = {
    "@architectures": "spacy-curated-transformers.LastTransformerLayerListener.v1",
    "width": 16,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": "*",
    "grad_factor": 1.0,
}


def make_pipeline(bert: str) -> Any:
    from transformers import AutoTokenizer

    loaders = "spacy-curated-transformers"
    init = {
        "encoder_loader": {"@model_loaders": f"{loaders}.HFTransformerEncoderLoader.v1", "name": bert},
        "piecer_loader": {"@model_loaders": f"{loaders}.HFPieceEncoderLoader.v1", "name": bert},
    }
    fix_random_seed(0)
    nlp = spacy.blank("en")
    size = AutoTokenizer.from_pretrained(bert).vocab_size
    nlp.add_pipe("curated_transformer", config={"model": MODEL | {"vocab_size": size}})
    shared = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
    nlp.add_pipe("multitask", config={"model": shared, "heads": JOINT})
    nlp.config["initialize"]["components"]["curated_transformer"] = init
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


@pytest.mark.skipif(
    tuple(map(int, numpy.__version__.split(".")[:2])) >= (2, 4),
    reason="spacy-curated-transformers 0.3.1 turns an array of one number into a float, which numpy 2.4 refuses",
)
def test_it_learns_and_is_the_same_after_reload(tmp_path: Path) -> None:
    nlp = make_pipeline(write_bert(tmp_path / "bert"))
    scores = assert_learns(nlp)
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model").evaluate(make_examples(nlp))
    assert loaded["slots_f"] == scores["slots_f"]
    assert loaded["intent_acc"] == scores["intent_acc"]
