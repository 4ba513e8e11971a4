"""The groups of classes in gold `cats`: which keys belong together, and whether a doc has exactly one of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

# "scenario=alarm": the prefix with its sign, and the class
PREFIXED = re.compile(r"([^=:/|]+[=:/|]).+")


@dataclass(frozen=True)
class ClassGroup:
    """Keys of `cats` that answer one question.

    prefix (str): What all keys begin with, such as "genre="; "" if there is nothing.
    keys (tuple[str, ...]): The keys, in alphabetical order.
    n_docs (int): Docs with at least one of them.
    n_several (int): Docs that have more than one class.
    n_none (int): Docs that have none.
    """

    prefix: str
    keys: tuple[str, ...]
    n_docs: int
    n_several: int
    n_none: int

    @property
    def exclusive(self) -> bool:
        """Whether each doc has exactly one class, and there are two to tell apart."""
        return len(self.keys) > 1 and not self.n_several and not self.n_none


def find_class_groups(docs: Sequence[Doc]) -> list[ClassGroup]:
    """Group the keys of `cats` that are classes.

    If each doc has exactly one class, all keys are one group, also if they have prefixes: an intent may be called
    "alarm/set". Otherwise, keys with the same prefix are a group, if all keys have one: a head finds its keys by it.
    """
    keys = class_keys(docs)
    if not keys:
        return []
    by_prefix: dict[str, list[str]] = {}
    for key in keys:
        found = PREFIXED.fullmatch(key)
        by_prefix.setdefault(found[1] if found else "", []).append(key)
    prefix = next(iter(by_prefix)) if len(by_prefix) == 1 else ""
    whole = make_group(docs, prefix, keys)
    if whole.exclusive or len(by_prefix) == 1 or "" in by_prefix:
        return [whole]
    return [make_group(docs, prefix, own) for prefix, own in by_prefix.items()]


def class_keys(docs: Sequence[Doc]) -> list[str]:
    """The keys of `cats` whose values are all probabilities, in alphabetical order."""
    numbers = set(number_keys(docs))
    return sorted({key for doc in docs for key in doc.cats} - numbers)


def number_keys(docs: Sequence[Doc]) -> list[str]:
    """The keys of `cats` with a value that is no probability, in the order in which they occur."""
    return list(dict.fromkeys(key for doc in docs for key, value in doc.cats.items() if not 0.0 <= value <= 1.0))


def make_group(docs: Sequence[Doc], prefix: str, keys: Sequence[str]) -> ClassGroup:
    """Count the classes of the docs among some keys."""
    numbers = list(_positives(docs, dict.fromkeys(keys)))
    several, none = sum(number > 1 for number in numbers), numbers.count(0)
    return ClassGroup(prefix, tuple(keys), len(numbers), several, none)


def _positives(docs: Sequence[Doc], keys: Mapping[str, None]) -> Iterator[int]:
    for doc in docs:
        values = [value for key, value in doc.cats.items() if key in keys]
        if values:
            yield sum(value > 0 for value in values)
