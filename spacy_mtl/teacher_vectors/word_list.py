"""The words that get a vector: from a list, from texts, or from the vocabulary of a tokenizer."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language

from ..encoders.transformer.lone_words import LoneWords
from ..readers.raw_texts import find_text_files, read_lines, read_texts


def listed_words(path: Path) -> list[str]:
    """Return the words of a file, one a line. Raises a ValueError if there are none."""
    words = [line for _, line in read_lines(path)]
    if not words:
        raise ValueError(f"there is no word in {path}; expected one a line")
    return words


def words_of_texts(paths: Sequence[Path], nlp: Language, *, min_count: int, limit: int) -> list[str]:
    """Return the words of texts, the most frequent first.

    paths (Sequence[Path]): Files or folders: .txt with a text a line, .jsonl or .spacy.
    nlp (Language): The pipeline whose tokenizer splits the texts.
    min_count (int): Minimum number of occurrences.
    limit (int): Maximum number of words; 0 for all.
    RAISES ValueError: No word occurs so often.
    """
    counts: Counter[str] = Counter()
    for path in paths:
        for file in find_text_files(path):
            for doc in read_texts(file, nlp):
                counts.update(token.text for token in doc if not token.is_space)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [word for word, count in ranked if count >= min_count]
    if not words:
        raise ValueError(
            f"no word occurs {min_count} times in {', '.join(map(str, paths))}; the most frequent one occurs "
            f"{max(counts.values(), default=0)} times. Lower --min-count, or give more texts"
        )
    return words[: limit or None]


def words_of_tokenizer(words: LoneWords) -> list[str]:
    """Return the pieces of a tokenizer that are whole words, in the order of their ids."""
    return list(_whole_words(words.tokenizer, words))


def _whole_words(tokenizer: Any, words: LoneWords) -> Iterator[str]:
    special = {index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    for index in sorted(tokenizer.get_vocab().values()):
        text = tokenizer.decode([index], skip_special_tokens=False).strip()
        # A piece that is cut into itself, and into no other one, stands for a whole word.
        if index not in special and text and not text.isspace() and words.cut(text) == [index]:
            yield text
