"""BIO and BILUO tags as integers: which may follow which, spans to tags and tags to spans, in whole arrays."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..layers.ragged_rows import first_rows
from ..protocols.arrays import BoolsT, IntsT

PREFIXES = {"BIO": "BI", "BILUO": "BILU"}
# spaCy's codes for ENT_IOB
MISSING, INSIDE, OUTSIDE, BEGIN = 0, 1, 2, 3


@dataclass(frozen=True)
class TagScheme:
    """The tags of a set of labels: tag 0 is O, then for each label its prefixes (B, I or B, I, L, U).

    prefix (n_tags,) of one-letter strings; label (n_tags,) index of the tag's label, -1 for O;
    allowed (n_tags, n_tags): whether the column's tag may follow the row's; starts, ends (n_tags,): whether a
    sequence may start or end with the tag.
    """

    kind: str
    n_labels: int
    prefix: NDArray[np.str_]
    label: IntsT
    allowed: BoolsT
    starts: BoolsT
    ends: BoolsT

    @property
    def n_tags(self) -> int:
        """Number of tags."""
        return len(self.prefix)

    def encode(self, iob: IntsT, labels: IntsT, lengths: IntsT) -> tuple[IntsT, BoolsT]:
        """Gold annotation as tags.

        iob (n_tokens,): spaCy's ENT_IOB codes, 0 where unset. labels (n_tokens,): label index, -1 for none.
        lengths (n_docs,): tokens a doc, at least 1 each.
        RETURNS: tags (n_tokens,), -1 where the annotation leaves more than one open, and possible (n_tokens, n_tags):
            the tags that agree with the annotation.
        """
        inside, begin = _continues(iob, labels, lengths), (iob == INSIDE) | (iob == BEGIN)
        prefixes = PREFIXES[self.kind]
        size = len(prefixes)
        first = 1 + labels * size
        if self.kind == "BIO":
            tags = np.where(begin, first + inside, 0)
            ambiguous = iob == MISSING
            possible = _one_hot(tags, self.n_tags)
        else:
            next_inside, next_missing = _shift_back(inside, lengths), _shift_back(iob == MISSING, lengths)
            tags = np.where(begin, first + _biluo_offset(inside, next_inside), 0)
            open_end = begin & next_missing
            ambiguous = (iob == MISSING) | open_end
            possible = _one_hot(tags, self.n_tags)
            rows = np.flatnonzero(open_end)
            possible[rows, first[rows] + _biluo_offset(inside[rows], np.ones(len(rows), dtype=bool))] = True
        possible[iob == MISSING] = True
        return np.where(ambiguous, -1, tags), possible

    def around_blocked(self, blocked: BoolsT, kept: IntsT) -> BoolsT:
        """Which tags leave blocked tokens out of all spans, (n_kept, n_tags).

        blocked (n_tokens,): of all tokens, white space too. kept (n_kept,): those that have tags. A blocked one is
        outside. A blocked one that has no tag is not in the span that the next tag continues.
        """
        own = blocked[kept]
        behind = np.diff(np.cumsum(blocked)[kept], prepend=0) > own
        possible = np.ones((len(kept), self.n_tags), dtype=bool)
        possible[own, 1:] = False
        possible[behind] &= self.starts
        return possible

    def spans(self, tags: IntsT) -> tuple[IntsT, IntsT, IntsT]:
        """The spans of valid tag sequences laid end to end.

        tags (n_tokens,). RETURNS: start, end (exclusive) and label index of each span, all (n_spans,).
        """
        prefix = self.prefix[tags]
        continues = (prefix == "I") | (prefix == "L")
        segment = np.cumsum(~continues) - 1
        starts = np.flatnonzero((prefix == "B") | (prefix == "U"))
        sizes = np.bincount(segment, minlength=1) if len(tags) else np.zeros(1, dtype=np.int64)
        return starts, starts + sizes[segment[starts]], self.label[tags[starts]]


@lru_cache(maxsize=32)
def make_tag_scheme(kind: str, n_labels: int) -> TagScheme:
    """Build the scheme for `n_labels` labels; kind is "BIO" or "BILUO"."""
    prefixes = PREFIXES[kind]
    prefix = np.array(["O", *(list(prefixes) * n_labels)])
    label = np.concatenate([[-1], np.repeat(np.arange(n_labels), len(prefixes))])
    into = (prefix == "I") | (prefix == "L")
    same = (label[:, None] == label[None, :]) & (label[:, None] >= 0)
    goes_on = (prefix == "B") | (prefix == "I")
    if kind == "BIO":
        allowed, ends = ~into[None, :] | (same & goes_on[:, None]), np.ones(len(prefix), dtype=bool)
    else:
        allowed, ends = np.where(goes_on[:, None], into[None, :] & same, ~into[None, :]), ~goes_on
    return TagScheme(kind, n_labels, prefix, label, allowed, ~into, ends)


def n_labels_of(kind: str, n_tags: int) -> int:
    """The number of labels with which a scheme has so many tags."""
    return (n_tags - 1) // len(PREFIXES[kind])


def _continues(iob: IntsT, labels: IntsT, lengths: IntsT) -> BoolsT:
    """Whether a token goes on with the entity of the token before. An I that cannot (at the start of a doc, after O
    or after another label) begins an entity instead; after an unset token it stays I.
    """
    first = np.zeros(len(iob), dtype=bool)
    first[first_rows(lengths)[1:]] = True
    first[:1] = True
    before_iob, before_label = np.roll(iob, 1), np.roll(labels, 1)
    follows = (before_iob == MISSING) | (((before_iob == INSIDE) | (before_iob == BEGIN)) & (before_label == labels))
    result: BoolsT = (iob == INSIDE) & ~first & follows
    return result


def _shift_back(values: BoolsT, lengths: IntsT) -> BoolsT:
    """The next token's value, False at the end of a doc."""
    shifted = np.roll(values, -1)
    shifted[np.cumsum(lengths) - 1] = False
    return shifted


def _biluo_offset(inside: BoolsT, next_inside: BoolsT) -> IntsT:
    """Index of the prefix in B, I, L, U."""
    return np.where(inside, np.where(next_inside, 1, 2), np.where(next_inside, 0, 3))


def _one_hot(tags: IntsT, n_tags: int) -> BoolsT:
    hot = np.zeros((len(tags), n_tags), dtype=bool)
    hot[np.arange(len(tags)), tags] = True
    return hot
