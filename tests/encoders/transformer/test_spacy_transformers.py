"""The component on a pipe of spacy-transformers: missing labels, one pass, saving, replaced listeners."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from pipelines import JOINT, assert_learns, heads_config, make_examples
from spacy.tokens import Doc
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

torch = pytest.importorskip("torch")
pytest.importorskip("spacy_transformers")
pytestmark = pytest.mark.spacy_transformers


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_bert(tmp_path_factory.mktemp("bert"))


def make_pipeline(bert: str, heads: dict[str, Any] | None = None, *others: str) -> Any:
    fix_random_seed(0)
    nlp = spacy.blank("en")
    spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": bert, "get_spans": spans}
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    shared = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    nlp.add_pipe("multitask", config={"model": shared, "heads": heads or JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


def bert_weights(nlp: Any) -> dict[str, Any]:
    module = nlp.get_pipe("transformer").model.transformer
    return {name: param.detach().clone() for name, param in module.named_parameters()}


def annotations(docs: list[Doc]) -> list[Any]:
    return [({k: round(v, 4) for k, v in d.cats.items()}, [(e.start, e.end, e.label_) for e in d.ents]) for d in docs]


def test_it_learns_and_is_the_same_after_reload(bert: str, tmp_path: Path) -> None:
    nlp = make_pipeline(bert)
    scores = assert_learns(nlp)
    assert scores["intent_acc"] == 1.0
    nlp.to_disk(tmp_path)
    texts = [eg.text for eg in make_examples(nlp)]
    assert annotations(list(nlp.pipe(texts))) == annotations(list(spacy.load(tmp_path).pipe(texts)))


@pytest.mark.parametrize("order", [("intent", "slots"), ("slots", "intent")])
@pytest.mark.parametrize("missing", ["cats", "ents"])
def test_labels_of_either_kind_reach_the_transformer(bert: str, order: tuple[str, str], missing: str) -> None:
    kinds = {"intent": "DocClassifier", "slots": "EntityRecognizer"}
    nlp = make_pipeline(bert, heads_config(**{name: {"kind": kinds[name]} for name in order}))
    before = bert_weights(nlp)
    optimizer = nlp.create_optimizer()
    # the pipe takes the step for a batch at the next one
    for _ in range(2):
        nlp.update(make_examples(nlp, **{missing: False}), sgd=optimizer)
    after = bert_weights(nlp)
    assert any((before[name] != after[name]).any() for name in before)


def test_a_batch_without_labels_changes_nothing(bert: str) -> None:
    nlp = make_pipeline(bert)
    before = bert_weights(nlp)
    optimizer = nlp.create_optimizer()
    for _ in range(2):
        nlp.update(make_examples(nlp, cats=False, ents=False), sgd=optimizer)
    after = bert_weights(nlp)
    assert all((before[name] == after[name]).all() for name in before)


def test_two_heads_need_one_forward_and_one_backward(bert: str) -> None:
    nlp = make_pipeline(bert)
    module = nlp.get_pipe("transformer").model.transformer
    calls = []
    module.register_forward_hook(lambda *args: calls.append("forward"))
    module.encoder.layer[0].register_full_backward_hook(lambda *args: calls.append("backward"))
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert calls == ["forward", "backward"]


def test_replace_listeners_keeps_the_annotations(bert: str) -> None:
    nlp = make_pipeline(bert)
    texts = [eg.text for eg in make_examples(nlp)]
    before = annotations(list(nlp.pipe(texts)))
    nlp.replace_listeners("transformer", "multitask", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    assert annotations(list(nlp.pipe(texts))) == before


def test_a_frozen_transformer_still_feeds_the_heads(bert: str) -> None:
    nlp = make_pipeline(bert)
    before = bert_weights(nlp)
    optimizer = nlp.create_optimizer()
    losses = []
    for _ in range(30):
        frozen = {"exclude": ["transformer"], "annotates": ["transformer"]}
        losses.append(nlp.update(make_examples(nlp), sgd=optimizer, losses={}, **frozen)["multitask"])
    after = bert_weights(nlp)
    assert losses[-1] < losses[0]
    assert all((before[name] == after[name]).all() for name in before)


def test_white_space_and_empty_docs(bert: str) -> None:
    nlp = make_pipeline(bert)
    docs = list(nlp.pipe(["", "   ", "play \n\n jazz", "\u200b"]))
    assert [bool(doc.cats) for doc in docs] == [True] * 4
