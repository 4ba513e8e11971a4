"""Gold annotation for each predicted token, as integers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH, SENT_START
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

# What spaCy stores for an attribute; the stub of Doc.to_array says float64.
ValuesT = NDArray[np.uint64]

NO_SENT_START = np.uint64(2**64 - 1)  # -1, as `Doc.to_array` gives it
CODES = {"B": 3, "U": 3, "I": 1, "L": 1, "O": 2}


class GoldBatch(list[Example]):
    """The examples of a training step, which several heads read: tokens are compared once for all of them."""

    @cached_property
    def same_tokens(self) -> list[bool]:
        """Whether the predicted doc of each example has the tokens of its gold doc."""
        return [is_same_tokenization(eg) for eg in self]


def same_tokens(examples: Sequence[Example]) -> Iterable[bool]:
    """Whether the predicted doc of each example has the tokens of its gold doc."""
    return examples.same_tokens if isinstance(examples, GoldBatch) else map(is_same_tokenization, examples)


def unannotated(doc: Doc, vocab: Vocab) -> Doc:
    """Return a doc with the same tokens and without any annotation."""
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    return Doc(vocab, words=[token.text for token in doc], spaces=spaces)


def batch_values(examples: Sequence[Example], attr: str, attr_id: int) -> list[ValuesT]:
    """Return what `token_values` returns for each example."""
    same = same_tokens(examples)
    return [token_values(eg, attr, attr_id, is_same=is_same) for eg, is_same in zip(examples, same, strict=True)]


def count_values(examples: Sequence[Example], attr: str, attr_id: int) -> int:
    """Count the gold tokens that have a value. Docs in which none of them is aligned one to one with a predicted token
    are left out. Arguments as those of `token_values`.
    """
    total = 0
    for eg, is_same in zip(examples, same_tokens(examples), strict=True):
        # numpy's own integers would make float64 of what they are multiplied with
        found = int(np.count_nonzero(stored_values(eg.reference, attr_id)))
        if found and (is_same or token_values(eg, attr, attr_id, is_same=False).any()):
            total += found
    return total


def token_values(example: Example, attr: str, attr_id: int, *, is_same: bool | None = None) -> ValuesT:
    """Return the gold value of each predicted token as spaCy stores it, (n_tokens,).

    It is 0 where the gold value is missing or gold and predicted tokens are not aligned one to one.

    attr (str): Name of the attribute, such as "TAG".
    attr_id (int): Its id in `spacy.attrs`.
    is_same (bool | None): Whether both docs have the same tokens; None to compare them.
    """
    gold = stored_values(example.reference, attr_id)
    if is_same:
        return gold
    if not gold.any():
        return np.zeros(len(example.predicted), dtype="uint64")
    if is_same is None and is_same_tokenization(example):
        return gold
    aligned = example.get_aligned(attr)
    if attr_id == SENT_START:
        aligned = [None if value is None else int(value) or int(NO_SENT_START) for value in aligned]
        if aligned:
            aligned[0] = 1
    return np.array([0 if value is None else int(value) for value in aligned], dtype="uint64")


def stored_values(doc: Doc, attr_id: int) -> ValuesT:
    """Return the value of each token as spaCy stores it, (n_tokens,); 0 where it is missing.

    Sentence starts are read as spaCy's senter and `doc.sents` read them: a doc has them for all of its tokens or for
    none. If any token after the first has one, tokens that are not marked as a start do not start a sentence.
    """
    values = cast(ValuesT, doc.to_array(attr_id))
    if attr_id != SENT_START or not len(values):
        return values
    if not is_annotated(doc, attr_id):
        return np.zeros_like(values)
    values[values == 0] = NO_SENT_START
    values[0] = 1
    return values


def is_same_tokenization(example: Example) -> bool:
    """Whether the predicted doc has the same tokens as the gold one, so that no alignment is needed."""
    predicted, gold = example.predicted, example.reference
    return len(predicted) == len(gold) and np.array_equal(predicted.to_array(ORTH), gold.to_array(ORTH))


def is_annotated(doc: Doc, attr_id: int) -> bool:
    """Whether any token has a value. The sentence start with which spaCy marks the first token of every doc is none."""
    if attr_id == SENT_START:
        return bool(doc.has_annotation("SENT_START"))
    return bool(doc.to_array(attr_id).any())


def batch_entities(examples: Sequence[Example]) -> list[ValuesT]:
    """Return ENT_IOB and ENT_TYPE of each predicted token of each example, (n_tokens, 2). ENT_IOB is 0 where the gold
    annotation is missing, or where the tokens of an entity are not aligned with predicted ones.
    """
    return [
        cast(ValuesT, eg.reference.to_array([ENT_IOB, ENT_TYPE])) if is_same else _aligned_entities(eg)
        for eg, is_same in zip(examples, same_tokens(examples), strict=True)
    ]


def _aligned_entities(example: Example) -> ValuesT:
    strings = example.reference.vocab.strings
    rows = np.zeros((len(example.predicted), 2), dtype="uint64")
    for row, tag in zip(rows, example.get_aligned_ner(), strict=True):
        if tag is not None and tag != "-":
            row[0] = CODES[tag[0]]
            row[1] = strings.as_int(tag[2:]) if len(tag) > 1 else 0
    return rows


def boundaries(example: Example) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the boundaries of the tokens of the predicted and of the gold doc, (n_tokens + 1,) each.

    They are counted in tokens if both docs have the same ones, otherwise in characters. As in spaCy's alignment, blanks
    and case make no difference. The tokens ["New York", "is"] and ["New", "York", "is"] have the boundaries [0, 7, 9]
    and [0, 3, 7, 9].
    """
    if is_same_tokenization(example):
        boundaries = np.arange(len(example.predicted) + 1)
        return boundaries, boundaries
    return _character_boundaries(example.predicted), _character_boundaries(example.reference)


def _character_boundaries(doc: Doc) -> NDArray[np.int64]:
    return np.cumsum([0, *(len(token.text.replace(" ", "").lower()) for token in doc)])


def look_up(values: ValuesT, known: Sequence[int]) -> NDArray[np.int64]:
    """Return the index of each value in `known`, -1 for values that it does not contain."""
    table = np.array(known, dtype="uint64")
    order = np.argsort(table)
    index = np.searchsorted(table, values, sorter=order).clip(max=max(len(table) - 1, 0))
    if not len(table):
        return np.full(len(values), -1)
    found = order[index]
    return np.where(table[found] == values, found, -1)


def snippet(text: str, *, size: int = 60) -> str:
    """Return the beginning of a text in quotes, to name a doc in a message."""
    return repr(text if len(text) <= size else text[: size - 1] + "…")


def renamed_cats(cats: Mapping[str, float], mapping: Mapping[str, str | None]) -> dict[str, float]:
    """Rename classes. If several get the same name, the largest value stays.

    cats (Mapping[str, float]): Values by class.
    mapping (Mapping[str, str | None]): The new name of each class, or None to drop it. Other classes keep their names.
    """
    result: dict[str, float] = {}
    for key, value in cats.items():
        new = mapping.get(key, key)
        if new is not None:
            result[new] = max(value, result.get(new, value))
    return result
