"""Gradients of one length: by hand, and through the component."""

import numpy as np
import pytest
from balancing import TWO, encoder_gradient, learn, make_cnn, make_examples, merge, use
from pipelines import JOINT
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_mtl.weightings.norm_scaling import make_norm_scaling_v1


def test_two_heads_by_hand():
    """Norms of 5 and 1: the mean is 3."""
    found = merge(make_norm_scaling_v1(), {"a": [3.0, 4.0], "b": [0.0, -1.0]})
    assert found == pytest.approx([3 * 0.6, 3 * 0.8 - 3])


def test_three_heads_by_hand_with_weights():
    """Norms of 5, 1 and 3: the mean is 3. The user's weights are the relative lengths."""
    found = merge(make_norm_scaling_v1({"b": 2.0}), {"a": [3.0, 4.0], "b": [0.0, -1.0], "c": [3.0, 0.0]})
    assert found == pytest.approx([3 * 0.6 + 3, 3 * 0.8 - 6])


@pytest.mark.parametrize("heads", [TWO, JOINT], ids=["two", "joint"])
@pytest.mark.parametrize("listener", [False, True])
def test_each_loss_moves_the_last_layer_as_far_as_the_others(heads, listener):
    check_equal_lengths(heads, make_examples, listener=listener)


def test_on_real_docs(data_dir):
    def examples(nlp):
        docs = list(DocBin().from_disk(data_dir / "snips" / "dev.spacy").get_docs(nlp.vocab))[::30]
        return [Example(nlp.make_doc(doc.text), doc) for doc in docs]

    check_equal_lengths(JOINT, examples)


def check_equal_lengths(heads, examples, **settings):
    """The encoder's gradient is the sum of the losses' own, scaled to one norm at the last layer."""
    nlp = make_cnn(use("Static"), heads, examples=examples, **settings)
    gold = examples(nlp)
    learn(nlp, gold, 3)
    own, last = {}, {}
    for name in heads:
        nlp.get_pipe("multitask").weighting.factors.update({other: float(other == name) for other in heads})
        own[name] = encoder_gradient(nlp, gold)
        last[name] = np.linalg.norm(encoder_gradient(nlp, gold, last_layer=True))
    balanced = make_cnn(use("NormScaling"), heads, examples=examples, **settings)
    for name, pipe in balanced.pipeline:
        pipe.from_bytes(nlp.get_pipe(name).to_bytes())
    mean = sum(last.values()) / len(last)
    assert max(last.values()) > 1.02 * min(last.values())
    expected = sum(own[name] * mean / last[name] for name in heads)
    np.testing.assert_allclose(
        encoder_gradient(balanced, gold), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
    )
