"""An augmenter that swaps entities for others of the same type, so that a network learns from their context."""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE, LEMMA, MORPH, POS, SENT_START, TAG
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..gold import CODES, unannotated
from ..origin import mark_augmented
from ..protocols.arrays import ArrayT

# an entity type, and the classes of the doc
KeyT = tuple[str, tuple[str, ...]]
AugmenterT = Callable[[Language, Example], Iterator[Example]]
# attributes that tokens keep; new tokens have only entity and sentence start
ATTRS = [ENT_IOB, ENT_TYPE, SENT_START, TAG, POS, MORPH, LEMMA]
NO_START = np.uint64(2**64 - 1)


class Value(NamedTuple):
    """The tokens of an entity.

    words (tuple[str, ...]): Their texts.
    spaces (tuple[bool, ...]): Whether a space follows each of them.
    """

    words: tuple[str, ...]
    spaces: tuple[bool, ...]


def make_swap_entities_v1(level: float, entity_level: float = 1.0) -> AugmenterT:
    """Build the augmenter that replaces entities by others of the same type: mention replacement (Dai and Adel 2020,
    "An Analysis of Simple Data Augmentation for Named Entity Recognition", COLING). A new value is drawn uniformly from
    the entities of that type in docs of the same classes (`doc.cats`) that were read before.

    Docs without entities pass unchanged. In the others, `doc.cats` stay. Tags, parts of speech, morphology, lemmas and
    sentence starts stay at old tokens and are missing at new ones; dependencies are dropped. To decide for each
    entity separately, as the paper does, set `level = 1.0` and `entity_level` to the rate. With `max_epochs` of 0 or
    more, spaCy reads a corpus once, and each epoch repeats the same swaps; for new swaps in each epoch, read the corpus
    with `spacy_mtl.MultiCorpus.v1` and `max_epochs = -1`.

    level (float): Probability that a doc is chosen for swaps.
    entity_level (float): Probability that an entity of a chosen doc is swapped.
    """
    for name, rate in (("level", level), ("entity_level", entity_level)):
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"SwapEntities: {name} is {rate}, expected a number from 0 to 1")
    return SwapEntities(level, entity_level)


class SwapEntities:
    """The augmenter.

    level (float): Probability that a doc is chosen for swaps.
    entity_level (float): Probability that an entity of a chosen doc is swapped.
    values (dict[KeyT, list[Value]]): Entities seen so far, by entity type and classes of the doc.
    """

    def __init__(self, level: float, entity_level: float) -> None:
        self.level = level
        self.entity_level = entity_level
        self.values: dict[KeyT, list[Value]] = {}
        self._seen: set[tuple[KeyT, Value]] = set()

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example, or a changed one in its place."""
        reference = example.reference
        classes = tuple(sorted(key for key, value in reference.cats.items() if value > 0))
        for ent in reference.ents:
            self._remember((ent.label_, classes), read_value(ent))
        chosen: list[Span] = []
        if reference.ents and _happens(self.level):
            chosen = [ent for ent in reference.ents if _happens(self.entity_level)]
        if not chosen:
            yield example
            return
        doc = swap(reference, [(ent, random.choice(self.values[ent.label_, classes])) for ent in chosen])
        yield Example(mark_augmented(unannotated(doc, nlp.vocab)), doc)

    def _remember(self, key: KeyT, value: Value) -> None:
        if (key, value) not in self._seen:
            self._seen.add((key, value))
            self.values.setdefault(key, []).append(value)


def read_value(ent: Span) -> Value:
    """Read the tokens of an entity."""
    return Value(tuple(token.text for token in ent), tuple(bool(token.whitespace_) for token in ent))


def swap(doc: Doc, values: list[tuple[Span, Value]]) -> Doc:
    """Return a copy of the doc in which some entities are replaced.

    doc (Doc): The gold doc.
    values (list[tuple[Span, Value]]): The entities to replace, in order, each with its new tokens.
    """
    old: ArrayT = doc.to_array(ATTRS)
    texts = [token.text for token in doc]
    follows = [bool(token.whitespace_) for token in doc]
    words: list[str] = []
    spaces: list[bool] = []
    rows: list[ArrayT] = []
    end = 0
    for ent, value in values:
        words += [*texts[end : ent.start], *value.words]
        spaces += [*follows[end : ent.start], *value.spaces[:-1], follows[ent.end - 1]]
        rows += [old[end : ent.start], _annotate(old[ent.start], len(value.words))]
        end = ent.end
    words += texts[end:]
    spaces += follows[end:]
    swapped = Doc(doc.vocab, words=words, spaces=spaces, user_data=dict(doc.user_data))
    annotation: ArrayT = np.concatenate([*rows, old[end:]])
    swapped.from_array(ATTRS, annotation)
    swapped.cats = dict(doc.cats)
    return swapped


def _happens(rate: float) -> bool:
    """Return True with this probability."""
    return rate >= 1.0 or random.random() < rate


def _annotate(first: ArrayT, n_tokens: int) -> ArrayT:
    """Make the attributes of a new entity's tokens, (n_tokens, n_attrs).

    first (Ints1d): The attributes of the old entity's first token, (n_attrs,).
    n_tokens (int): Number of tokens of the new entity.
    """
    rows = np.zeros((n_tokens, len(ATTRS)), dtype="uint64")
    rows[:, 0], rows[0, 0] = CODES["I"], CODES["B"]
    rows[:, 1] = first[1]
    rows[0, 2] = first[2]
    if first[2]:
        rows[1:, 2] = NO_START
    return rows
