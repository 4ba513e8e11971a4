"""Dropout of rare words, so that the network learns what to make of a word that it has never seen.

In training a word becomes the unknown word with a probability that falls with how often it was seen: alpha / (alpha +
n ** power), with a power of 1 in Kiperwasser & Goldberg 2016, "Simple and Accurate Dependency Parsing Using
Bidirectional LSTM Feature Representations". What an unseen word is, those tell best that were seen once (Good 1953,
"The population frequencies of species and the estimation of population parameters"); the higher the power, the fewer
others become the unknown word. In prediction a word that training has never seen is the unknown word. What else is
known of it, such as its SHAPE and SUFFIX or a static vector, stays. Without this a hash embedding gives such a word the
sum of rows that belong to others.
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
# a stream may have no end
MAX_TEXTS = 1_000_000


class WordCounts:
    """In how many texts each word was seen, by its hash. A text that comes again, as it does in each epoch, is not
    counted again, nor is one that an augmenter made: there every word of a rare entity would soon be frequent. After
    `MAX_TEXTS` texts no more are counted. Which texts they were is saved with the state of a training (Protocol
    `Resumable`), but not with a pipeline.
    """

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts)
        self.texts: set[int] = set()

    def see(self, docs: Sequence[Doc], columns: Sequence[int]) -> bool:
        """Count the words of texts that are new. RETURNS: Whether there were any.

        columns (Sequence[int]): The attributes of the features.
        """
        n_texts = len(self.texts)
        column = columns[place_of_word(columns)]
        for doc in docs:
            words = doc.to_array(column)
            text = _text_key(words)
            if not is_augmented(doc) and text not in self.texts and len(self.texts) < MAX_TEXTS:
                self.texts.add(text)
                self.counts.update(set(words.tolist()))
        return len(self.texts) > n_texts

    def of(self, words: Any) -> Any:
        """The counts of the words, (n_words,)."""
        return np.array([self.counts.get(word, 0) for word in words.tolist()], dtype="int64")

    def training_state(self) -> bytes:
        """Return which texts were counted, eight bytes for each."""
        return bytes(np.array(sorted(self.texts), dtype="<u8").tobytes())

    def resume(self, state: bytes) -> None:
        """Do not count these texts again."""
        self.texts = set(np.frombuffer(state, dtype="<u8").tolist())


@serialize_attr.register
def _(attr: WordCounts, value: WordCounts, name: str, model: Model[Any, Any]) -> bytes:
    words = np.array(list(value.counts.items()), dtype="uint64").reshape(-1, 2)
    # as msgpack, since a model without counts that loads the weights, such as spaCy's layer, reads it as that
    return bytes(srsly.msgpack_dumps(words.astype("<u8").tobytes()))


@deserialize_attr.register
def _(attr: WordCounts, value: bytes, name: str, model: Model[Any, Any]) -> WordCounts:
    return WordCounts(dict(np.frombuffer(srsly.msgpack_loads(value), dtype="<u8").reshape(-1, 2).tolist()))


def _text_key(words: Any) -> int:
    """The same number for the same text in every process, which Python's `hash` is not."""
    return int.from_bytes(blake2b(words.tobytes(), digest_size=8).digest(), "little")


def place_of_word(columns: Sequence[int]) -> int:
    """Which of these attributes is the first that says which word a token is. Raises ValueError if none does."""
    try:
        return next(i for i, column in enumerate(columns) if column in IDENTITY)
    except StopIteration:
        raise ValueError(
            "rare_word_dropout has no word to drop: attrs has none of ORTH, LOWER, NORM, LEMMA; add one, or set it to 0"
        ) from None


def hide_unseen(features: Any, columns: Sequence[int], counts: WordCounts) -> Any:
    """Prediction: the unknown word for words that were never seen, (n_words, n_features) -> the same shape.

    columns (Sequence[int]): The attributes of the first features; any that follow stay.
    """
    unseen = counts.of(features[:, place_of_word(columns)]) == 0
    return np.where(unseen[:, None], _unknown(features, columns), features)


def drop_rare(
    words: Words, columns: Sequence[int], counts: WordCounts, alpha: float, power: float, *, seed: int
) -> Words:
    """Training: the unknown word for some tokens, rare words more often than frequent ones.

    columns (Sequence[int]): The attributes of the first features; any that follow stay.
    alpha (float): How often a word must have been seen for every second of its tokens to stay.
    power (float): How fast the rate falls with the number of times that a word was seen.
    RETURNS (Words): The words that are left and, as further ones, those that tokens lost. Their keys are not set.
    """
    seen = counts.of(words.features[:, place_of_word(columns)])
    rates = alpha / (alpha + seen.astype("float64") ** power)
    generator = np.random.default_rng(seed)
    dropped = generator.random(len(words.of_token)) < rates[words.of_token]
    features = np.concatenate([words.features, _unknown(words.features, columns)])
    of_token = np.where(dropped, words.of_token + len(words.features), words.of_token)
    used, of_token = np.unique(of_token, return_inverse=True)
    return Words(features[used], words.keys, of_token.reshape(-1))


def _unknown(features: Any, columns: Sequence[int]) -> Any:
    """The features of words, as those of unknown words that look the same."""
    unknown = features.copy()
    unknown[:, [i for i, column in enumerate(columns) if column in IDENTITY]] = UNKNOWN
    return unknown
