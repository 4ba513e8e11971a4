"""What the words between a dependent and a head say about the arc.

McDonald et al. (2005) had a feature for each part of speech that an arc passes over. Here each word has an amount of
each of a few learned kinds, and an arc's score has the sum of the amounts between its two words, times what the
dependent and the head give for the kind. The sum is the difference of two cumulated ones, so that all arcs of a
sentence take two matrix products.
"""

from collections.abc import Callable

from thinc.util import get_array_module

from ...protocols.arrays import ArrayT

BackpropT = Callable[[ArrayT], tuple[ArrayT, ArrayT, ArrayT]]


def score_between(amounts: ArrayT, dependents: ArrayT, heads: ArrayT) -> tuple[ArrayT, BackpropT]:
    """Score all arcs of some sentences.

    amounts (Floats3d): Amount of each kind in each word, (n_sentences, n_words, n_kinds).
    dependents (Floats3d): What a dependent gives for each kind between it and a head on its right, and then on its
        left, (n_sentences, n_words, 2 * n_kinds).
    heads (Floats3d): What a head gives for the same, (n_sentences, n_words, 2 * n_kinds).
    RETURNS: scores, (n_sentences, n_words, n_words), a row for each dependent, in whose diagonal is nothing of use; and
        backprop: their gradient, which is 0 in the diagonal -> those of the three arguments.
    """
    xp = get_array_module(amounts)
    n_kinds = amounts.shape[2]
    after = xp.cumsum(amounts, axis=1)
    before = after - amounts
    to_right = xp.arange(amounts.shape[1]) > xp.arange(amounts.shape[1])[:, None]
    # a head on the right: what is before the head, less what is before the word after the dependent
    right = _sums(dependents[:, :, :n_kinds], heads[:, :, :n_kinds], -after, before)
    left = _sums(dependents[:, :, n_kinds:], heads[:, :, n_kinds:], before, -after)
    scores = xp.where(to_right, right, left)

    def backprop(d_scores: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        d_right = d_scores * to_right
        d_left = d_scores - d_right
        weights = dependents[:, :, :n_kinds], heads[:, :, :n_kinds]
        d_dep_right, d_head_right, d_after, d_before = _backprop_sums(d_right, *weights, -after, before)
        weights = dependents[:, :, n_kinds:], heads[:, :, n_kinds:]
        d_dep_left, d_head_left, d_before_left, d_after_left = _backprop_sums(d_left, *weights, before, -after)
        d_before = d_before + d_before_left
        d_sums = d_before - d_after - d_after_left
        d_amounts = xp.cumsum(d_sums[:, ::-1], axis=1)[:, ::-1] - d_before
        return (
            d_amounts,
            xp.concatenate([d_dep_right, d_dep_left], axis=2),
            xp.concatenate([d_head_right, d_head_left], axis=2),
        )

    return scores, backprop


def _sums(dependents: ArrayT, heads: ArrayT, at_dependent: ArrayT, at_head: ArrayT) -> ArrayT:
    """Compute (dependents[d] + heads[h]) @ (at_dependent[d] + at_head[h]) for all pairs, (n_sentences, d, h)."""
    xp = get_array_module(heads)
    sums = xp.matmul(
        xp.concatenate([dependents, at_dependent], axis=2),
        xp.concatenate([at_head, heads], axis=2).transpose(0, 2, 1),
    )
    sums += (dependents * at_dependent).sum(axis=2)[:, :, None]
    sums += (heads * at_head).sum(axis=2)[:, None]
    return sums


def _backprop_sums(
    d_sums: ArrayT, dependents: ArrayT, heads: ArrayT, at_dependent: ArrayT, at_head: ArrayT
) -> tuple[ArrayT, ArrayT, ArrayT, ArrayT]:
    """The gradients of the four arguments of `_sums`."""
    xp = get_array_module(d_sums)
    of_dependent, of_head = d_sums.sum(axis=2)[:, :, None], d_sums.sum(axis=1)[:, :, None]
    flipped = d_sums.transpose(0, 2, 1)
    d_dependents = xp.matmul(d_sums, at_head) + of_dependent * at_dependent
    d_heads = xp.matmul(flipped, at_dependent) + of_head * at_head
    d_at_dependent = xp.matmul(d_sums, heads) + of_dependent * dependents
    d_at_head = xp.matmul(flipped, dependents) + of_head * heads
    return d_dependents, d_heads, d_at_dependent, d_at_head
