"""GPU behaviour, tested without a GPU: nothing mixes arrays of the GPU with numpy's, and the number of waits for the
GPU does not grow with the number of docs. Tests on a real GPU are in test_gpu.py.
"""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import spacy
from pipelines import heads_config
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from strict_arrays import XP, StrictArray, strict_device  # noqa: F401  (a fixture)
from toy import ENCODER, make_docs

from spacy_mtl.crf import linear_chain as crf
from spacy_mtl.gold import unannotated

HEADS = heads_config(
    intent={"kind": "DocClassifier", "label_prefix": "intent:", "pooling": ["mean", "max", "attention"]},
    several={"kind": "DocClassifier", "exclusive": False, "label_prefix": "about:"},
    tag={"kind": "Tagger"},
    slots={"kind": "EntityRecognizer", "condition_on": ["intent", "tag"]},
    spans={"kind": "EntityRecognizer", "spans_key": "sc", "scheme": "BILUO"},
)


def make_pipeline(encoder: dict[str, Any], heads: dict[str, Any] | None = None) -> tuple[Language, list[Example]]:
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads or HEADS, "readout_every": 0})
    docs = [Doc(nlp.vocab).from_bytes(doc.to_bytes()) for doc in make_docs(64, seed=0)]
    for doc in docs:
        doc.cats = {f"{prefix}:{key}": value for key, value in doc.cats.items() for prefix in ("intent", "about")}
        for token in doc:
            token.tag_ = "X" if token.ent_type_ else "Y"
    examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    return nlp, examples


@pytest.mark.parametrize("encoder", [ENCODER, {**ENCODER, "rare_word_dropout": 1.0, "boundary": "zero"}])
def test_the_device_is_waited_for_once_a_batch_not_once_a_doc(
    encoder: dict[str, Any],
    strict_device: Counter[str],  # noqa: F811
) -> None:
    nlp, examples = make_pipeline(encoder)
    optimizer = nlp.create_optimizer()
    first = nlp.update(examples, sgd=optimizer, losses={})
    waits = []
    for n_docs in (8, 64):
        strict_device.clear()
        last = nlp.update(examples[:n_docs], sgd=optimizer, drop=0.1, losses={})
        training = strict_device.total()
        strict_device.clear()
        list(nlp.pipe(unannotated(eg.reference, nlp.vocab) for eg in examples[:n_docs]))
        waits.append((training, strict_device.total()))
    assert waits[0] == waits[1]
    assert 0 < max(waits[0]) <= 40
    assert all(np.isfinite(loss) for loss in [*first.values(), *last.values()])


def test_a_crf_of_many_tokens_stays_on_the_device(
    strict_device: Counter[str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nlp, examples = make_pipeline(ENCODER)
    strict_device.clear()
    near = nlp.update(examples, sgd=False, losses={})
    n_floats = strict_device["float"]
    monkeypatch.setattr(crf, "FEW_NUMBERS", 0)
    far = nlp.update(examples, sgd=False, losses={})
    assert strict_device["float"] > 2 * n_floats
    np.testing.assert_allclose(list(far.values()), list(near.values()), rtol=1e-5)


def test_the_arrays_are_strict() -> None:
    array = XP.asarray(np.ones((2, 3), dtype="f"))
    with pytest.raises(TypeError, match=r"numpy, \(3,\), meets"):
        array + np.ones(3)
    with pytest.raises(TypeError, match="max has no"):
        array.max(axis=1, initial=0.0)
    with pytest.raises(TypeError, match="not converted"):
        np.asarray(array)
    assert float(StrictArray(2.0) * 3) == 6.0


def test_decoding_together_does_not_wait_for_each_doc(
    strict_device: Counter[str],  # noqa: F811
) -> None:
    heads = {**HEADS, "slots": {**HEADS["slots"], "consistent_with": "intent"}}
    nlp, examples = make_pipeline(ENCODER, heads)
    parts = nlp.get_pipe("multitask").heads
    seen_types = parts["slots"].model.attrs["seen_types"]
    seen_types.kinds = {("play", types) for _, types in seen_types.kinds}
    for index in range(500):
        seen_types.see("ask", [f"other{index}"])
        seen_types.see("play", [f"other{index}", *parts["slots"].labels])
    parts["intent"].model.get_ref("output").get_param("b")[0] += 2.0
    parts["slots"].model.layers[2].get_param("b")[0] -= 20.0
    waits = []
    for n_docs in (8, 64):
        strict_device.clear()
        docs = list(nlp.pipe(unannotated(eg.reference, nlp.vocab) for eg in examples[:n_docs]))
        assert all(doc.cats["intent:play"] > 0.5 and doc.ents for doc in docs)
        waits.append(strict_device.total())
    assert waits[0] == waits[1]
