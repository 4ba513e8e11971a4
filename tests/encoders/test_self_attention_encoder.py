"""Self-attention against plain loops over tokens, and inside a pipeline."""

import numpy as np
import pytest
from pipelines import ENCODER, check_learns_and_is_saved
from thinc.api import fix_random_seed

from spacy_mtl.encoders.self_attention_encoder import make_self_attention_encoder_v1
from spacy_mtl.layers.attention import attend, plan_blocks

LENGTHS = np.array([3, 0, 9, 1, 30, 4, 10])
N_HEADS, WIDTH, SIZE = 2, 6, 8
ATTENTIVE = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": ENCODER,
    "encode": {"@architectures": "spacy_mtl.SelfAttentionEncoder.v1", "width": 32, "n_heads": 2, "block": 3},
}


def draw_qkv():
    return np.random.default_rng(0).normal(size=(LENGTHS.sum(), 3 * WIDTH))


def by_loops(qkv, lengths, *, size):
    """The formula for one token and one head at a time."""
    found, start, d = [], 0, WIDTH // N_HEADS
    for length in lengths:
        Q, K, V = (part.reshape(length, N_HEADS, d) for part in np.split(qkv[start : start + length], 3, axis=1))
        start += length
        for i in range(length):
            seen = [j for j in range(length) if length <= size or abs(i // size - j // size) <= 1]
            for head in range(N_HEADS):
                weights = np.exp([Q[i, head] @ K[j, head] / np.sqrt(d) for j in seen])
                found.append(weights @ V[seen, head] / weights.sum())
    return np.array(found).reshape(-1, WIDTH)


@pytest.mark.parametrize("size", [SIZE, 64])
def test_equals_the_formula_token_by_token(size):
    Y, _ = attend(draw_qkv(), plan_blocks(LENGTHS, size=size), n_heads=N_HEADS)
    assert pytest.approx(by_loops(draw_qkv(), LENGTHS, size=size), abs=1e-12) == Y


def test_gradient_equals_finite_differences():
    qkv, plans = draw_qkv(), plan_blocks(LENGTHS, size=SIZE)
    Y, backprop = attend(qkv, plans, n_heads=N_HEADS)
    dY = np.random.default_rng(1).normal(size=Y.shape)
    gradient = backprop(dY)
    for row, column in zip(range(len(qkv)), np.random.default_rng(2).permutation(3 * WIDTH * 4), strict=False):
        step = np.zeros_like(qkv)
        step[row, column % qkv.shape[1]] = 1e-5
        above, below = (attend(qkv + sign * step, plans, n_heads=N_HEADS)[0] for sign in (1, -1))
        expected = ((above - below) * dY).sum() / 2e-5
        assert gradient[row, column % qkv.shape[1]] == pytest.approx(expected, abs=1e-7)


def test_blocks_hold_each_token_once_and_little_else():
    lengths = np.array([*range(1, 40), 5000])
    plans = plan_blocks(lengths, size=128)
    queries = np.concatenate([blocks.queries.ravel() for blocks in plans])
    assert sorted(queries[queries >= 0]) == list(range(lengths.sum()))
    assert sum(blocks.queries.shape[0] * blocks.keys.shape[1] for blocks in plans) < 4 * lengths.sum()


def test_a_doc_has_the_same_vectors_alone_as_in_a_batch():
    fix_random_seed(0)
    encoder = make_self_attention_encoder_v1(width=8, n_heads=4, block=4).initialize()
    docs = [np.random.default_rng(n).normal(size=(n, 8)).astype("f") for n in (2, 0, 5, 9)]
    for doc, together in zip(docs, encoder.predict(docs), strict=True):
        assert together == pytest.approx(encoder.predict([doc])[0], abs=1e-6)
    assert encoder.predict([]) == []


def test_a_pipeline_learns_with_it_and_is_saved(tmp_path):
    check_learns_and_is_saved(ATTENTIVE, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 10, "n_heads": 4}, "width is 10; it must be a multiple of n_heads, which is 4"),
        ({"width": 8, "n_heads": 0}, "multiple of n_heads, which is 0"),
        ({"width": 8, "block": 0}, "block is 0; it must be at least 1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        make_self_attention_encoder_v1(**settings)
