"""Words are cut into the same pieces as by the package tokenizers."""

import json
import random
from typing import Any

import pytest

from spacy_mtl.encoders.hash_embed_cnn.wordpiece import WordPiece

tokenizers = pytest.importorskip("tokenizers")

PIECES = (
    "[PAD] [UNK] [MASK] [unused1] play playing ##ing ##s un ##believ ##able Straße ß ##ss \u03c3 \u03bf 東 ά é "
    ", - $ ##- 1 7 ##7"
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = [
    *("play", "Playing", "PLAYS", "unbelievable", "unplay", "p.m.", "7-17", "$1", "don't", "naïve", "Éé", "Straße"),
    *(
        "\u039f\u03a3",
        "İ",
        "東京",
        "ﬁ",
        "a\u0301",
        "\u200bplay",
        "pl\u00aday",
        "\ufffdplay",
        "play\u2009s",
        "a\x85b",
        "\U0001f600",
    ),
    *("a" * 100, "a" * 101, "", " ", "\t\n", "[MASK]", "[UNK]", "##ing", "\ue000x", "x\U00010ecb"),
]


def make_tokenizer(**settings: Any) -> dict[str, Any]:
    """The contents of a tokenizer.json."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocab = [*PIECES.split(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(dict.fromkeys(vocab))}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(**settings)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return json.loads(tokenizer.to_str())


def random_words(n_words: int) -> list[str]:
    """Words of letters, accents, punctuation and characters of many scripts, all in Unicode since long."""
    rng = random.Random(0)
    ranges = [
        (0x20, 0x7F),
        (0x20, 0x250),
        (0x300, 0x370),
        (0x391, 0x3CA),
        (0x410, 0x450),
        (0x2000, 0x2070),
        (0x4E00, 0x9FA5),
    ]
    return [
        "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 9))) for _ in range(n_words)
    ]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("others", [{}, {"clean_text": False, "handle_chinese_chars": False}], ids=str)
def test_pieces_are_those_of_tokenizers(lowercase: bool, strip_accents: bool | None, others: dict[str, Any]) -> None:
    settings = make_tokenizer(lowercase=lowercase, strip_accents=strip_accents, **others)
    tokenizer, cutter = tokenizers.Tokenizer.from_str(json.dumps(settings)), WordPiece.from_tokenizer(settings)
    for word in [*WORDS, *random_words(2000)]:
        expected = tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).tokens
        assert [cutter.settings.pieces[row] for row in cutter.cut(word)] == expected, ascii(word)


def test_pieces_that_no_word_has_are_left_out() -> None:
    pieces = WordPiece.from_tokenizer(make_tokenizer(lowercase=True)).settings.pieces
    assert {"[UNK]", "play", "##ing", "-", "東"} <= set(pieces)
    assert not {"[PAD]", "[MASK]", "[unused1]", "Straße", "A", "é"} & set(pieces)


def test_another_kind_of_tokenizer_is_refused() -> None:
    settings = make_tokenizer()
    settings["model"]["type"] = "BPE"
    with pytest.raises(ValueError, match=r"its tokenizer is BPE .* expected WordPiece with BertNormalizer"):
        WordPiece.from_tokenizer(settings)
