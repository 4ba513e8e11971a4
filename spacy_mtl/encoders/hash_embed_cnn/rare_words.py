"""Dropout of rare words, so that the network learns what to make of words that it has never seen.

A hash embedding has no row for unknown words: it gives them the sum of rows that belong to other words. Instead, in
prediction, every word that training has not seen is replaced by a single unknown word. Its other features, such as
SHAPE, SUFFIX or a static vector, stay.

The unknown word is trained by replacing some words of the training set. A word that occurs in n texts is replaced with
the probability alpha / (alpha + n ** power), with a power of 1 in Kiperwasser and Goldberg 2016, "Simple and Accurate
Dependency Parsing Using Bidirectional LSTM Feature Representations". Words seen once are the best estimate of unseen
words (Good 1953, "The population frequencies of species and the estimation of population parameters"); the higher the
power, the fewer other words are replaced.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import srsly
from spacy.tokens import Doc
from thinc.api import Model
from thinc.model import deserialize_attr, serialize_attr

from ...origin import is_augmented
from .word_vectors import IDENTITY, Words

UNKNOWN = 1
# a limit for streams, which may have no end
MAX_TEXTS = 1_000_000


class WordCounts:
    """The number of texts in which each word was seen, by its hash.

    A text counts once, however many epochs repeat it. Texts made by an augmenter do not count, since they would soon
    make every word of a rare entity frequent. After `MAX_TEXTS` texts no more are counted. The counted texts are saved
    with the state of a training (Protocol `Resumable`), but not with a pipeline.

    counts (Counter[int]): Number of texts for each word.
    texts (set[int]): Keys of the texts that were counted.
    """

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts)
        self.texts: set[int] = set()

    def see(self, docs: Sequence[Doc], columns: Sequence[int]) -> bool:
        """Count the words of texts that are new.

        docs (Sequence[Doc]): The docs of a training batch.
        columns (Sequence[int]): The attributes of the features.
        RETURNS (bool): Whether any text was new.
        """
        n_texts = len(self.texts)
        column = columns[word_index(columns)]
        for doc in docs:
            words = doc.to_array(column)
            text = _text_key(words)
            if not is_augmented(doc) and text not in self.texts and len(self.texts) < MAX_TEXTS:
                self.texts.add(text)
                self.counts.update(set(words.tolist()))
        return len(self.texts) > n_texts

    def of(self, words: Any) -> Any:
        """Return the counts of the words, (n_words,)."""
        return np.array([self.counts.get(word, 0) for word in words.tolist()], dtype="int64")

    def merged(self, others: Sequence["WordCounts"]) -> "WordCounts":
        """Combine the counts of several trainings on the same texts: of each word the largest."""
        result = WordCounts()
        for other in others:
            result.counts |= other.counts
        return result

    def training_state(self) -> bytes:
        """Return the keys of the texts that were counted, eight bytes for each."""
        return bytes(np.array(sorted(self.texts), dtype="<u8").tobytes())

    def resume(self, state: bytes) -> None:
        """Set the texts that were counted already."""
        self.texts = set(np.frombuffer(state, dtype="<u8").tolist())


@serialize_attr.register
def _(attr: WordCounts, value: WordCounts, name: str, model: Model[Any, Any]) -> bytes:
    words = np.array(list(value.counts.items()), dtype="uint64").reshape(-1, 2)
    # Wrapped in msgpack, since a model without this attribute that loads the weights, such as spaCy's, reads msgpack.
    return bytes(srsly.msgpack_dumps(words.astype("<u8").tobytes()))


@deserialize_attr.register
def _(attr: WordCounts, value: bytes, name: str, model: Model[Any, Any]) -> WordCounts:
    return WordCounts(dict(np.frombuffer(srsly.msgpack_loads(value), dtype="<u8").reshape(-1, 2).tolist()))


def _text_key(words: Any) -> int:
    """Return a hash of the text that is the same in every process, unlike Python's `hash`."""
    return int.from_bytes(blake2b(words.tobytes(), digest_size=8).digest(), "little")


def word_index(columns: Sequence[int]) -> int:
    """Return the index of the first attribute that identifies the word. Raises a ValueError if there is none."""
    try:
        return next(i for i, column in enumerate(columns) if column in IDENTITY)
    except StopIteration:
        raise ValueError(
            "rare_word_dropout has no word to drop: attrs has none of ORTH, LOWER, NORM, LEMMA; add one, or set it to 0"
        ) from None


def hide_unseen(features: Any, columns: Sequence[int], counts: WordCounts) -> Any:
    """Replace words that were never seen by the unknown word, in prediction.

    features (Ints2d): Features of the words, (n_words, n_features).
    columns (Sequence[int]): The attributes of the first features. Features after these stay.
    counts (WordCounts): Counts of the training set.
    RETURNS (Ints2d): Features of the same shape.
    """
    unseen = counts.of(features[:, word_index(columns)]) == 0
    return np.where(unseen[:, None], _unknown(features, columns), features)


def drop_rare(
    words: Words, columns: Sequence[int], counts: WordCounts, alpha: float, power: float, *, seed: int
) -> Words:
    """Replace the words of some tokens by the unknown word, in training, rare words more often than frequent ones.

    words (Words): The distinct words of the batch.
    columns (Sequence[int]): The attributes of the first features. Features after these stay.
    counts (WordCounts): Counts of the training set.
    alpha (float): The rate for a word seen in n texts is alpha / (alpha + n ** power).
    power (float): The exponent of n.
    seed (int): Seed of the random choice.
    RETURNS (Words): The words that are left, followed by the versions of words whose identity was dropped. The keys of
        the latter are not set.
    """
    seen = counts.of(words.features[:, word_index(columns)])
    rates = alpha / (alpha + seen.astype("float64") ** power)
    generator = np.random.default_rng(seed)
    dropped = generator.random(len(words.of_token)) < rates[words.of_token]
    features = np.concatenate([words.features, _unknown(words.features, columns)])
    of_token = np.where(dropped, words.of_token + len(words.features), words.of_token)
    used, of_token = np.unique(of_token, return_inverse=True)
    return Words(features[used], words.keys, of_token.reshape(-1))


def _unknown(features: Any, columns: Sequence[int]) -> Any:
    """Replace the features that identify a word by those of the unknown word; the others stay."""
    unknown = features.copy()
    unknown[:, [i for i, column in enumerate(columns) if column in IDENTITY]] = UNKNOWN
    return unknown
