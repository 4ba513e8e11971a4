"""WordPiece in plain Python: cuts a word into the pieces that BERT's tokenizer cuts it into."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# First and last code points of the blocks of Chinese characters that BERT reads as words of their own.
CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# Unicode's categories of characters that are removed. Code points that are not assigned stay.
CONTROL = ("Cc", "Cf", "Co", "Cs")


class WordPieceSettings(NamedTuple):
    """The settings of a WordPiece tokenizer, as they are saved with a pipeline.

    pieces (list[str]): All pieces. The index of a piece is its row.
    unknown (str): Piece of a word that cannot be cut.
    prefix (str): Beginning of pieces that continue a word.
    max_chars (int): Length from which on a word is unknown.
    clean_text (bool): Whether to remove control characters.
    split_chinese (bool): Whether each Chinese character is a word.
    strip_accents (bool): Whether to remove accents.
    lowercase (bool): Whether to convert to lower case.
    """

    pieces: list[str]
    unknown: str
    prefix: str
    max_chars: int
    clean_text: bool
    split_chinese: bool
    strip_accents: bool
    lowercase: bool


class WordPiece:
    """The tokenizer of BERT and of models like it. Any number of threads can use it."""

    def __init__(self, settings: WordPieceSettings) -> None:
        self.settings = settings
        self.rows = {piece: row for row, piece in enumerate(settings.pieces)}

    @classmethod
    def from_tokenizer(cls, tokenizer: Mapping[str, Any]) -> "WordPiece":
        """Read the settings from the contents of a `tokenizer.json`.

        Pieces that no word can be cut into, such as [MASK] and [unused1], are left out.

        RAISES ValueError: The tokenizer is of another kind.
        """
        model, normalizer, splitter = (tokenizer[key] or {} for key in ("model", "normalizer", "pre_tokenizer"))
        kinds = model.get("type"), normalizer.get("type"), splitter.get("type")
        if kinds != ("WordPiece", "BertNormalizer", "BertPreTokenizer"):
            raise ValueError(
                f"its tokenizer is {kinds[0]} with normalizer {kinds[1]} and pre-tokenizer {kinds[2]}, expected "
                "WordPiece with BertNormalizer and BertPreTokenizer, as that of BERT, MiniLM, MPNet or ELECTRA"
            )
        accents = normalizer["strip_accents"]
        settings = WordPieceSettings(
            pieces=sorted(model["vocab"], key=model["vocab"].__getitem__),
            unknown=model["unk_token"],
            prefix=model["continuing_subword_prefix"],
            max_chars=model["max_input_chars_per_word"],
            clean_text=normalizer["clean_text"],
            split_chinese=normalizer["handle_chinese_chars"],
            strip_accents=normalizer["lowercase"] if accents is None else accents,
            lowercase=normalizer["lowercase"],
        )
        every = cls(settings)
        pieces = [piece for piece in settings.pieces if piece == settings.unknown or every._occurs(piece)]
        return cls(settings._replace(pieces=pieces))

    def _occurs(self, piece: str) -> bool:
        """Whether a word can have this piece: whether no rule changes or splits it."""
        stem = piece.removeprefix(self.settings.prefix)
        return list(self._split(self._normalize(stem))) in ([stem], [piece])

    def cut(self, word: str) -> list[int]:
        """Return the rows of a word's pieces. White space has none."""
        return [row for part in self._split(self._normalize(word)) for row in self._match(part)]

    def _normalize(self, word: str) -> str:
        settings = self.settings
        if settings.clean_text:
            word = "".join(" " if char.isspace() else char for char in word if not _is_control(char))
        if settings.split_chinese:
            word = "".join(f" {char} " if _is_chinese(char) else char for char in word)
        if settings.strip_accents:
            word = "".join(char for char in unicodedata.normalize("NFD", word) if unicodedata.category(char) != "Mn")
        if settings.lowercase:
            # One by one, since Python's lower() looks at the neighbours of a sigma.
            word = "".join(char.lower() for char in word)
        return word

    @staticmethod
    def _split(text: str) -> Iterator[str]:
        """Split at white space and around punctuation."""
        for part in text.split():
            start = 0
            for i, char in enumerate(part):
                if _is_punctuation(char):
                    yield from filter(None, (part[start:i], char))
                    start = i + 1
            if start < len(part):
                yield part[start:]

    def _match(self, part: str) -> list[int]:
        """Cut off the longest piece that is known, again and again."""
        rows: list[int] = []
        start = 0
        while start < len(part) and len(part) <= self.settings.max_chars:
            prefix = self.settings.prefix if start else ""
            ends = range(len(part), start, -1)
            end = next((end for end in ends if prefix + part[start:end] in self.rows), None)
            if end is None:
                break
            rows.append(self.rows[prefix + part[start:end]])
            start = end
        return rows if start == len(part) else [self.rows[self.settings.unknown]]


def _is_control(char: str) -> bool:
    return char == "\ufffd" or (char not in "\t\n\r" and unicodedata.category(char) in CONTROL)


def _is_chinese(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in CHINESE)


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P") or (char.isascii() and not char.isalnum() and char.isprintable())
