"""The pieces of text that are parsed on their own: sentences, or windows of docs whose sentences are not known.

White space belongs to no tree, so that a piece lists the tokens that do. All pieces of a batch lie end to end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from spacy.attrs import IS_SPACE, SENT_START
from spacy.tokens import Doc

from ...layers.ragged_rows import bounds, first_rows, row_owners
from ...protocols.arrays import BoolsT, IntsT

# Numbers of scores that are computed at once: 8 MB.
N_SCORES = 2**21
# How much longer than the shortest piece of a bucket the longest may be.
GROWTH, EXTRA = 1.25, 2


@dataclass
class Pieces:
    """Pieces of a batch.

    tokens (IntsT): The token of each word, as its row in the batch, (n_words,).
    lengths (IntsT): Number of words of each piece, (n_pieces,), none of them 0.
    """

    tokens: IntsT
    lengths: IntsT


@dataclass
class Bucket:
    """Pieces of about the same length, as rows of an array.

    pieces (IntsT): Their indices, (n_pieces,).
    tokens (IntsT): The token of each word, as its row in the batch, (n_pieces, n_words); 0 behind a piece's end.
    lengths (IntsT): Number of words of each piece, (n_pieces,).
    """

    pieces: IntsT
    tokens: IntsT
    lengths: IntsT

    @cached_property
    def inside(self) -> BoolsT:
        """Whether there is a word, (n_pieces, n_words)."""
        inside: BoolsT = np.arange(self.tokens.shape[1]) < self.lengths[:, None]
        return inside


@dataclass
class DocTokens:
    """What is known of the tokens of docs before they are parsed.

    lengths (IntsT): Number of tokens of each doc, (n_docs,).
    is_space (BoolsT): Whether a token is white space, (n_tokens,).
    starts (BoolsT): Whether a token begins a sentence or a doc, (n_tokens,).
    has_sentences (BoolsT): Whether the sentences of a doc are known, (n_docs,).
    """

    lengths: IntsT
    is_space: BoolsT
    starts: BoolsT
    has_sentences: BoolsT


def read_tokens(docs: Sequence[Doc], starts: BoolsT | None) -> DocTokens:
    """Read the tokens of docs.

    starts (BoolsT | None): The tokens that begin a sentence, (n_tokens,); None to read sentences from the docs.
    """
    lengths = np.array([len(doc) for doc in docs], dtype="int64")
    empty = np.zeros((0, 2), dtype="uint64")
    values = np.concatenate([empty, *(doc.to_array([IS_SPACE, SENT_START]) for doc in docs)])
    has_sentences = np.ones(len(docs), dtype=bool)
    if starts is None:
        starts = values[:, 1] == 1
        has_sentences = np.array([doc.has_annotation("SENT_START") for doc in docs], dtype=bool)
    starts = starts.copy()
    starts[first_rows(lengths)[lengths > 0]] = True
    return DocTokens(lengths, values[:, 0].astype(bool), starts, has_sentences)


def cut_pieces(is_space: BoolsT, starts: BoolsT, *, max_length: int) -> Pieces:
    """List the words of each sentence. Longer sentences are cut after each `max_length` words.

    is_space (BoolsT): Whether a token is white space, (n_tokens,).
    starts (BoolsT): Whether a token begins a sentence, (n_tokens,). The first one does.
    """
    tokens = np.flatnonzero(~is_space)
    lengths = np.bincount(np.cumsum(starts)[tokens] - 1) if len(tokens) else np.zeros(0, dtype="int64")
    lengths = lengths[lengths > 0]
    n_parts = -(-lengths // max_length)
    cut = np.full(int(n_parts.sum()), max_length)
    cut[np.cumsum(n_parts) - 1] = lengths - (n_parts - 1) * max_length
    return Pieces(tokens, cut)


def window_starts(tokens: DocTokens, *, max_length: int) -> BoolsT:
    """Keep the sentence starts at which windows begin: each has as many sentences of a doc as have `max_length` words.

    RETURNS (BoolsT): (n_tokens,), of which `cut_pieces` makes the windows.
    """
    kept = tokens.starts.copy()
    n_words = np.concatenate([[0], np.cumsum(~tokens.is_space)])
    for start, end in zip(first_rows(tokens.lengths).tolist(), np.cumsum(tokens.lengths).tolist(), strict=True):
        if n_words[end] - n_words[start] <= max_length:
            kept[start + 1 : end] = False
            continue
        begin = start
        sentences = (np.flatnonzero(tokens.starts[start:end])[1:] + start).tolist()
        for sentence, following in pairwise([*sentences, end]):
            if n_words[following] - n_words[begin] > max_length:
                begin = sentence
            else:
                kept[sentence] = False
    return kept


def buckets(pieces: Pieces) -> Iterator[Bucket]:
    """Group pieces by their length, so that arrays of them have little padding and bounded size."""
    order = np.argsort(pieces.lengths, kind="stable")
    lengths, firsts = pieces.lengths[order], first_rows(pieces.lengths)[order]
    start = 0
    while start < len(order):
        fitting = int(np.searchsorted(lengths, int(lengths[start] * GROWTH) + EXTRA, side="right"))
        end = fitting
        while end > start + 1 and (end - start) * lengths[end - 1] * (lengths[end - 1] + 1) > N_SCORES:
            end = start + max((end - start) // 2, 1)
        own = lengths[start:end]
        columns = np.arange(own[-1])
        inside = columns < own[:, None]
        rows = np.where(inside, firsts[start:end, None] + columns, 0)
        yield Bucket(order[start:end], np.where(inside, pieces.tokens[rows], 0), own)
        start = end


def joined_starts(starts: BoolsT, dependents: IntsT, heads: IntsT) -> BoolsT:
    """Join sentences that an arc connects, with all that lie between them.

    With starts at 0, 2 and 4 and an arc from 5 to 3, token 4 does not begin a sentence.

    starts (BoolsT): Whether a token begins a sentence, (n_tokens,).
    dependents, heads (IntsT): The tokens of each arc, (n_arcs,).
    """
    first, last = np.minimum(dependents, heads), np.maximum(dependents, heads)
    size = len(starts) + 1
    n_covering = np.cumsum(np.bincount(first + 1, minlength=size + 1) - np.bincount(last + 1, minlength=size + 1))
    joined: BoolsT = starts & (n_covering[: len(starts)] == 0)
    return joined


def attach_spaces(heads: IntsT, is_space: BoolsT, starts: BoolsT) -> None:
    """Give white space a head: the word before it in its sentence, else the one after it, else the first token.

    heads (IntsT): The head of each token as its row in the batch, (n_tokens,). The heads of white space are written.
    """
    if not is_space.any():
        return
    n_tokens = len(heads)
    lengths = np.diff(np.concatenate([np.flatnonzero(starts), [n_tokens]]))
    edges = bounds(lengths)
    sentence = row_owners(lengths)
    places = np.arange(n_tokens)
    before = np.maximum.accumulate(np.where(is_space, -1, places))
    after = np.minimum.accumulate(np.where(is_space, n_tokens, places)[::-1])[::-1]
    chosen = np.where(before >= edges[sentence], before, np.where(after < edges[sentence + 1], after, edges[sentence]))
    heads[is_space] = chosen[is_space]
