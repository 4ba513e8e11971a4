"""The sums behind a read-out: means, shares, conflicts, and stretches that are added up."""

import json

import numpy as np
import pytest

from spacy_mtl.balance.readout_sums import ReadoutSums, add_up

# three gradients: two at a right angle, the third against the first
ROWS = {"a": np.array([3.0, 0.0]), "b": np.array([0.0, 4.0]), "c": np.array([-1.0, 1.0])}


def gramian(*names):
    rows = np.stack([ROWS[name] for name in names])
    return rows @ rows.T


def test_means_are_over_the_steps_in_which_a_head_had_gold():
    sums = ReadoutSums()
    sums.add_step({"a": 1.0, "b": 4.0}, {"a": 1.0, "b": 0.5})
    sums.add_step({"a": 3.0}, {"a": 2.0})
    found = sums.as_readout()
    assert (found["steps"], found["measured"], found["at"], found["conflict"]) == (2, 0, None, [])
    assert found["heads"]["a"] == {
        "loss": 2.0, "weight": 1.5, "gradient_norm": None, "encoder_share": None, "adversarial": False,
        "steps": 2, "measured": 0,
    }  # fmt: skip
    assert (found["heads"]["b"]["loss"], found["heads"]["b"]["steps"]) == (4.0, 1)


def test_norms_shares_and_conflicts():
    sums = ReadoutSums()
    weights = {"a": 2.0, "b": 0.5, "c": 1.0}
    for names in (["a", "b"], ["a", "c"]):
        sums.add_step(dict.fromkeys(names, 1.0), weights, adversarial={"c"})
        sums.add_gradients(names, gramian(*names), weights, "last_layer")
    found = sums.as_readout()
    assert {name: head["gradient_norm"] for name, head in found["heads"].items()} == pytest.approx(
        {"a": 3.0, "b": 4.0, "c": 2**0.5}
    )
    shares = {name: head["encoder_share"] for name, head in found["heads"].items()}
    # weighted norms: 6 and 2, then 6 and the root of 2
    assert shares == pytest.approx(
        {"a": (6 / 8 + 6 / (6 + 2**0.5)) / 2, "b": 2 / 8 / 2, "c": 2**0.5 / (6 + 2**0.5) / 2}
    )
    assert sum(shares.values()) == pytest.approx(1.0)
    assert [head["adversarial"] for head in found["heads"].values()] == [False, False, True]
    right, against = found["conflict"]
    assert right == {"heads": ["a", "b"], "cosine": 0.0, "share": 0.0, "measured": 1}
    assert against == {"heads": ["a", "c"], "cosine": pytest.approx(-(2**-0.5)), "share": 1.0, "measured": 1}


def test_a_gradient_of_zero_has_no_angle():
    sums = ReadoutSums()
    sums.add_step({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0})
    sums.add_gradients(["a", "b"], np.diag([9.0, 0.0]), {"a": 1.0, "b": 1.0}, "last_layer")
    found = sums.as_readout()
    assert found["conflict"] == []
    assert (found["heads"]["b"]["gradient_norm"], found["heads"]["b"]["encoder_share"]) == (0.0, 0.0)
    sums.add_gradients(["a", "b"], np.zeros((2, 2)), {"a": 1.0, "b": 1.0}, "last_layer")
    assert sums.as_readout() == found, "nothing moved the encoder"


def test_what_was_measured_elsewhere_is_not_mixed():
    sums, weights = ReadoutSums(), {"a": 1.0, "c": 1.0}
    sums.add_step(weights, weights)
    sums.add_gradients(["a", "c"], gramian("a", "c"), weights, "vectors")
    sums.add_gradients(["a", "c"], np.eye(2), weights, "last_layer")
    found = sums.as_readout()
    assert (found["at"], found["measured"], found["steps"]) == ("last_layer", 1, 1)
    assert found["conflict"] == [{"heads": ["a", "c"], "cosine": 0.0, "share": 0.0, "measured": 1}]


def noted(steps):
    """Read-outs of some made-up steps."""
    sums, rng = ReadoutSums(), np.random.default_rng(0)
    for number in range(20):
        names = ["b", "a", "c"] if number % 3 else ["c", "a"]
        losses, rows = dict(zip(names, rng.random(3), strict=False)), rng.normal(size=(len(names), 4))
        if number in steps:
            sums.add_step(losses, losses)
            if number % 2:
                sums.add_gradients(names, rows @ rows.T, losses, "last_layer")
    return sums


def same(found, expected):
    assert json.loads(json.dumps(found)) == found
    assert found["heads"].keys() == expected["heads"].keys()
    for name, head in expected["heads"].items():
        assert found["heads"][name] == pytest.approx(head)
    assert len(found["conflict"]) == len(expected["conflict"]) == 3
    order = {tuple(pair["heads"]): pair for pair in found["conflict"]}
    for pair in expected["conflict"]:
        other = order[tuple(pair["heads"])]
        assert {key: other[key] for key in ("cosine", "share", "measured")} == pytest.approx(
            {key: pair[key] for key in ("cosine", "share", "measured")}
        )


def test_stretches_add_up_to_the_whole():
    whole = noted(range(20)).as_readout()
    same(add_up([noted(range(7)).as_readout(), {}, noted(range(7, 20)).as_readout()]), whole)
    assert add_up([]) == {}


def test_the_state_is_exact():
    sums = noted(range(20))
    assert ReadoutSums.from_state(sums.get_state()) == sums
