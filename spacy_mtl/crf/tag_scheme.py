"""BIO and BILUO tags as integers: which tag may follow which, and spans to tags and back, in whole arrays."""

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
    """The tags of a set of labels. Tag 0 is O; the tags of each label follow, B I or B I L U.

    With two labels the tags of BIO are O, B-0, I-0, B-1, I-1: prefix = [O, B, I, B, I], label = [-1, 0, 0, 1, 1].

    kind (str): "BIO" or "BILUO".
    n_labels (int): Number of labels.
    prefix (NDArray[str]): One-letter prefix of each tag, (n_tags,).
    label (Ints1d): Index of each tag's label, -1 for O, (n_tags,).
    allowed (Bools2d): Whether the column's tag may follow the row's, (n_tags, n_tags).
    starts (Bools1d): Whether a sequence may start with the tag, (n_tags,).
    ends (Bools1d): Whether a sequence may end with the tag, (n_tags,).
    begins (Bools1d): Whether the tag begins a span, (n_tags,).
    """

    kind: str
    n_labels: int
    prefix: NDArray[np.str_]
    label: IntsT
    allowed: BoolsT
    starts: BoolsT
    ends: BoolsT
    begins: BoolsT

    @property
    def n_tags(self) -> int:
        """Number of tags."""
        return len(self.prefix)

    def encode(self, iob: IntsT, labels: IntsT, lengths: IntsT) -> tuple[IntsT, BoolsT]:
        """Convert gold annotation to tags.

        iob (Ints1d): spaCy's ENT_IOB codes, 0 where the annotation is missing, (n_tokens,).
        labels (Ints1d): Index of each token's label, -1 for none, (n_tokens,).
        lengths (Ints1d): Number of tokens of each doc, at least 1, (n_docs,).
        RETURNS: The tag of each token, -1 where several agree with the annotation, (n_tokens,); and the tags that
            agree with it, (n_tokens, n_tags).

        In BIO with one label, docs of 3 and 1 tokens with iob = [3, 1, 2, 0] (B, I, O, missing) and labels =
        [0, 0, -1, -1] have the tags [1, 2, 0, -1]; all three tags are possible for the last token.
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
        """Return the tags that keep blocked tokens out of all spans, (n_kept, n_tags).

        A blocked token can only have the tag O. A span cannot continue across a blocked token without a tag.

        blocked (Bools1d): Whether each token is blocked, white space included, (n_tokens,).
        kept (Ints1d): Indices of the tokens that have tags, (n_kept,).
        """
        own = blocked[kept]
        behind = np.diff(np.cumsum(blocked)[kept], prepend=0) > own
        possible = np.ones((len(kept), self.n_tags), dtype=bool)
        possible[own, 1:] = False
        possible[behind] &= self.starts
        return possible

    def spans(self, tags: IntsT) -> tuple[IntsT, IntsT, IntsT]:
        """Find the spans of valid tag sequences that lie end to end.

        tags (Ints1d): The tags, (n_tokens,).
        RETURNS: Start, end (exclusive) and label index of each span, (n_spans,) each.

        The BIO tags [1, 2, 0, 1] of one label have two spans: starts [0, 3], ends [2, 4], labels [0, 0].
        """
        # A tag that can start a sequence continues no span.
        segment = np.cumsum(self.starts.take(tags)) - 1
        starts = np.flatnonzero(self.begins.take(tags))
        sizes = np.bincount(segment, minlength=1) if len(tags) else np.zeros(1, dtype=np.int64)
        return starts, starts + sizes[segment[starts]], self.label[tags[starts]]


@lru_cache(maxsize=32)
def make_tag_scheme(kind: str, n_labels: int) -> TagScheme:
    """Build the scheme of `n_labels` labels.

    kind (str): "BIO" or "BILUO".
    n_labels (int): Number of labels.
    """
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
    return TagScheme(kind, n_labels, prefix, label, allowed, ~into, ends, ~into & (label >= 0))


def n_labels_of(kind: str, n_tags: int) -> int:
    """Return the number of labels of a scheme with `n_tags` tags."""
    return (n_tags - 1) // len(PREFIXES[kind])


def _continues(iob: IntsT, labels: IntsT, lengths: IntsT) -> BoolsT:
    """Whether each token continues the entity of the token before it, (n_tokens,).

    An I at the start of a doc, after O or after another label begins an entity instead. After a token whose annotation
    is missing it stays I.
    """
    first = np.zeros(len(iob), dtype=bool)
    first[first_rows(lengths)[1:]] = True
    first[:1] = True
    before_iob, before_label = np.roll(iob, 1), np.roll(labels, 1)
    follows = (before_iob == MISSING) | (((before_iob == INSIDE) | (before_iob == BEGIN)) & (before_label == labels))
    result: BoolsT = (iob == INSIDE) & ~first & follows
    return result


def _shift_back(values: BoolsT, lengths: IntsT) -> BoolsT:
    """Return the value of the next token for each token; False at the end of a doc."""
    shifted = np.roll(values, -1)
    shifted[np.cumsum(lengths) - 1] = False
    return shifted


def _biluo_offset(inside: BoolsT, next_inside: BoolsT) -> IntsT:
    """Return the index of each token's prefix in B, I, L, U."""
    return np.where(inside, np.where(next_inside, 1, 2), np.where(next_inside, 0, 3))


def _one_hot(tags: IntsT, n_tags: int) -> BoolsT:
    hot = np.zeros((len(tags), n_tags), dtype=bool)
    hot[np.arange(len(tags)), tags] = True
    return hot
