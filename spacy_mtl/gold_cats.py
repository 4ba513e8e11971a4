"""Gold `cats`: which keys belong to a head, and what of them it can't learn from."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from numbers import Real

from spacy.training import Example

from .gold import snippet

# what values of soft gold may be off by, from rounding
TOLERANCE = 1e-3
CERTAIN = frozenset((0.0, 1.0))


@dataclass(frozen=True)
class GoldCats:
    """How a head reads gold `cats`.

    head (str): Name of the head, for messages.
    prefix (str): Prefix of its keys; empty if it has none.
    keys (Set[str]): Keys of its labels, with the prefix.
    owns_all_keys (bool): Whether keys without a label are the head's own, if it has no prefix.
    exclusive (bool): Whether a doc has exactly one class.
    is_claimed (Callable | None): Whether a key is another head's, if any head claims keys.
    """

    head: str
    prefix: str
    keys: Set[str]
    owns_all_keys: bool
    exclusive: bool
    is_claimed: Callable[[str], bool] | None = None

    def own(self, cats: Mapping[str, float]) -> Mapping[str, float]:
        """The values of this head's keys, of labels that it does not know too."""
        if self.prefix or (self.owns_all_keys and self.is_claimed):
            return {key: value for key, value in cats.items() if self.is_own(key)}
        if self.owns_all_keys:
            return cats
        return {key: cats[key] for key in self.keys if key in cats}

    def is_own(self, key: str) -> bool:
        """Check whether the key has the prefix, and no other head claims it."""
        return key.startswith(self.prefix) and not (self.is_claimed and self.is_claimed(key))

    def check(self, example: Example) -> None:
        """Refuse what can't be learned from: values that are no probabilities, an unknown class, two exclusive classes,
        none of all exclusive ones.
        """
        cats, known = cats_of(example, self.head), self.keys
        values = cats.values()
        if cats.keys() == known and CERTAIN.issuperset(values) and (not self.exclusive or sum(values) == 1):
            return
        self.check_values(example)
        own = self.own(cats)
        positive = [key for key, value in own.items() if value > 0]
        unknown = [key for key in positive if key not in known]
        if unknown:
            label = unknown[0][len(self.prefix) :]
            raise ValueError(
                f"head {self.head!r}: label {label!r} {_where(example)} was not seen at initialisation; add it with "
                f"add_label({label!r}, head={self.head!r}), or initialise with examples or labels that have it"
            )
        if self.exclusive and sum(own[key] for key in positive) > 1.0 + TOLERANCE:
            raise ValueError(
                f"head {self.head!r}: {len(positive)} classes are positive {_where(example)}: {positive}; its classes "
                "are exclusive, so keep one, or set exclusive = false"
            )
        if self.exclusive and not positive and known <= cats.keys():
            raise ValueError(
                f"head {self.head!r}: no class is positive {_where(example)}; its classes are exclusive, so set one to "
                "1.0, leave the head's keys out of cats if the doc is not annotated, or set exclusive = false"
            )

    def check_values(self, example: Example) -> None:
        """Refuse values of `cats` that are no probabilities."""
        for key, value in self.own(cats_of(example, self.head)).items():
            if not isinstance(value, Real) or not -TOLERANCE <= value <= 1.0 + TOLERANCE:
                raise ValueError(
                    f"head {self.head!r}: label {key[len(self.prefix) :]!r} has the value {value!r} "
                    f"{_where(example)}; values of cats must be numbers from 0 to 1: 1.0 if the class applies, 0.0 if "
                    "it does not; leave the key out if that is not known"
                )


def cats_of(example: Example, head: str) -> dict[str, float]:
    """The gold `cats`, of all heads. RAISES ValueError: They are None."""
    cats: dict[str, float] | None = example.reference.cats
    if cats is None:
        raise ValueError(
            f"head {head!r}: the cats of doc {snippet(example.reference.text)} are None; set them to {{}} if "
            "the doc is not annotated"
        )
    return cats


def _where(example: Example) -> str:
    return f"in doc {snippet(example.reference.text)}"
