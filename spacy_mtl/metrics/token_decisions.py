"""Predicted and gold values of tokens, side by side."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from spacy.attrs import IDS as ATTR_IDS
from spacy.training import Example

from ..gold import ValuesT, batch_values
from ..protocols.decisions import NOTHING, Decisions

EMPTY: ValuesT = np.zeros(0, dtype="uint64")


def decisions_of_tokens(examples: Sequence[Example], attr: str, name_of: Callable[[int], str]) -> Decisions:
    """List the tokens that have a gold value.

    attr (str): Name of the attribute, such as "tag".
    name_of (Callable[[int], str]): The label of a value as spaCy stores it, other than 0.
    """
    attr_id = ATTR_IDS[attr.upper()]
    gold = batch_values(examples, attr.upper(), attr_id)
    found = [cast(ValuesT, eg.predicted.to_array(attr_id)) for eg in examples]
    lengths = np.array([len(values) for values in gold], dtype="int64")
    known = np.flatnonzero(np.concatenate([*gold, EMPTY]))
    both = np.concatenate([*gold, *found, EMPTY]).reshape(2, -1)[:, known]
    values, places = np.unique(both, return_inverse=True)
    labels = [name_of(value) if value else "" for value in values.tolist()]
    names = sorted(set(labels) - {""})
    order = {name: place for place, name in enumerate(names)} | {"": NOTHING}
    right, mine = np.array([order[label] for label in labels], dtype="int64")[places.reshape(both.shape)]
    starts = known - np.repeat(np.cumsum(lengths) - lengths, lengths)[known]
    docs = np.repeat(np.arange(len(lengths)), lengths)[known]
    return Decisions("tokens", docs, starts, starts + 1, right, mine, tuple(names))
