"""From scores to trees and labels, for the docs of a batch."""

from dataclasses import dataclass

import numpy as np
from thinc.util import to_numpy

from ...layers.ragged_rows import first_rows, row_ranges
from ...layers.softmax import log_softmax
from ...protocols.arrays import BoolsT, FloatsT, IntsT
from .arc_scores import ArcScores, score_arcs, score_labels
from .batched_trees import best_trees
from .projective_tree import best_projective_trees
from .sentence_pieces import (
    Bucket,
    DocTokens,
    Pieces,
    attach_spaces,
    buckets,
    cut_pieces,
    joined_starts,
    read_tokens,
)
from .spanning_tree import ROOT

# label of white space that is attached to a word
SPACE = -1


@dataclass
class Parses:
    """Decoded trees of a batch.

    heads (IntsT): The head of each token as its row in the batch, (n_tokens,); a root is its own.
    labels (IntsT): The index of each token's label, (n_tokens,); SPACE for white space.
    log_probabilities (FloatsT): Log-probability of each token's head and label, (n_tokens,), if asked for.
    """

    heads: IntsT
    labels: IntsT
    log_probabilities: FloatsT


class ParseDecoder:
    """Decodes one batch."""

    def __init__(
        self,
        scores: ArcScores,
        *,
        projective: bool,
        max_length: int,
        root_label: int | None,
        with_probabilities: bool = False,
        temperature: float = 1.0,
    ) -> None:
        """scores (ArcScores): The scores.
        projective (bool): Whether arcs must not cross.
        max_length (int): Number of words from which a sentence, or a doc without sentences, is cut.
        root_label (int | None): The label that roots have, and no other words.
        with_probabilities (bool): Whether to compute log-probabilities.
        temperature (float): Divides the scores before they become probabilities. The trees stay the same.
        """
        self.scores = scores
        self.projective = projective
        self.max_length = max_length
        self.root_label = root_label
        self.with_probabilities = with_probabilities
        self.temperature = temperature
        size = len(scores.heads)
        self.heads = np.arange(size)
        self.log_probabilities = np.zeros(size)

    def decode(self) -> Parses:
        """Decode all docs."""
        tokens = read_tokens(self.scores.docs, self.scores.starts)
        known = np.repeat(tokens.has_sentences, tokens.lengths)
        bounded = cut_pieces(tokens.is_space | ~known, tokens.starts, max_length=self.max_length)
        self._parse(bounded, single_root=True)
        self._parse_windows(tokens)
        starts = tokens.starts & (known | np.isin(np.arange(len(known)), first_rows(tokens.lengths)))
        attach_spaces(self.heads, tokens.is_space, starts)
        return Parses(self.heads, self._labels(tokens.is_space), self.log_probabilities)

    def _parse(self, pieces: Pieces, *, single_root: bool) -> None:
        for bucket in buckets(pieces):
            self._write(bucket, self._solve(bucket, single_root=single_root))

    def _parse_windows(self, tokens: DocTokens) -> None:
        """Decode docs without sentences, in windows of `max_length` words.

        A window becomes the best forest. Its sentences are the spans that no arc leaves; one with several roots, whose
        trees cross, is decoded again with one. What may go on behind the window, the last sentence, is left to the
        next window, which begins with it.
        """
        unknown = np.repeat(~tokens.has_sentences, tokens.lengths) & ~tokens.is_space
        words = np.flatnonzero(unknown)
        n_words = np.bincount(np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)[words])
        begins = first_rows(n_words)[n_words > 0]
        ends = begins + n_words[n_words > 0]
        while len(begins):
            lengths = np.minimum(ends - begins, self.max_length)
            window = Pieces(words[row_ranges(begins, lengths)], lengths)
            self._parse(window, single_root=False)
            starts = self._sentences_of(window)
            at = np.flatnonzero(starts)
            sentences = Pieces(window.tokens, np.diff(np.append(at, len(starts))))
            self._make_single_rooted(sentences)
            last = at[np.searchsorted(at, np.cumsum(lengths)) - 1] - first_rows(lengths)
            begins = begins + np.where((begins + lengths < ends) & (last > 0), last, lengths)
            begins, ends = begins[begins < ends], ends[begins < ends]

    def _sentences_of(self, pieces: Pieces) -> BoolsT:
        """Whether each word begins a span that no arc leaves, (n_words,)."""
        places = np.full(len(self.heads), -1)
        places[pieces.tokens] = np.arange(len(pieces.tokens))
        starts = np.ones(len(pieces.tokens), dtype=bool)
        return joined_starts(starts, np.arange(len(starts)), places[self.heads[pieces.tokens]])

    def _make_single_rooted(self, sentences: Pieces) -> None:
        is_root = self.heads[sentences.tokens] == sentences.tokens
        firsts = first_rows(sentences.lengths)
        several = np.flatnonzero(np.add.reduceat(is_root.astype(int), firsts) > 1)
        rows = row_ranges(firsts[several], sentences.lengths[several])
        self._parse(Pieces(sentences.tokens[rows], sentences.lengths[several]), single_root=True)

    def _solve(self, bucket: Bucket, *, single_root: bool) -> IntsT:
        """Find the column of the head of each word, (n_pieces, n_words)."""
        arcs: FloatsT = to_numpy(score_arcs(self.scores, bucket)[0])
        solve = best_projective_trees if self.projective else best_trees
        columns = solve(arcs, bucket.lengths, single_root=single_root)
        if self.with_probabilities:
            inside = bucket.inside
            table = log_softmax(arcs[inside].astype("d") / self.temperature)
            self.log_probabilities[bucket.tokens[inside]] = table[np.arange(len(table)), columns[inside]]
        return columns

    def _write(self, bucket: Bucket, columns: IntsT) -> None:
        """Write the heads of the words of a bucket."""
        inside = bucket.inside
        heads = np.take_along_axis(bucket.tokens, (columns - 1).clip(min=0), axis=1)
        self.heads[bucket.tokens[inside]] = np.where(columns == ROOT, bucket.tokens, heads)[inside]

    def _labels(self, is_space: BoolsT) -> IntsT:
        """Find the best label of each word, given its head."""
        labels = np.full(len(self.heads), SPACE)
        words = np.flatnonzero(~is_space)
        has_root_label = self.root_label is not None and len(self.scores.label_weights) > 1
        if has_root_label:
            at_root = self.heads[words] == words
            labels[words[at_root]] = self.root_label
            words = words[~at_root]
        heads = self.heads[words]
        logits: FloatsT = to_numpy(score_labels(self.scores, words, np.where(heads == words, -1, heads))[0])
        if has_root_label:
            logits[:, self.root_label] = -np.inf
        labels[words] = logits.argmax(axis=1) if len(words) else SPACE
        if self.with_probabilities:
            table = log_softmax(logits.astype("d") / self.temperature)
            self.log_probabilities[words] += table[np.arange(len(words)), labels[words]]
        return labels
