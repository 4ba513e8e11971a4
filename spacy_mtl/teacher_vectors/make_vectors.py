"""Make static word vectors from a teacher: each word alone through its transformer, then fewer columns."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np
from spacy.language import Language
from spacy.vectors import Vectors
from tqdm import tqdm

from ..encoders.hash_embed_cnn.piece_vectors import FILE, PieceVectors, word_key
from ..encoders.hash_embed_cnn.wordpiece import WordPiece
from ..encoders.transformer.lone_words import LoneWords
from ..protocols.arrays import ArrayT
from .projection import Projection, fit_projection


class TeacherVectors(NamedTuple):
    """The vectors of a teacher, which are saved to one folder.

    nlp (Language): A pipeline without components. Its vocab holds the vectors of the words.
    pieces (PieceVectors | None): Vectors of all pieces, if wanted.
    kept (float): Share of the variance that is left in the columns, in [0, 1].
    left_out (int): Number of words without pieces, which get no vector.
    """

    nlp: Language
    pieces: PieceVectors | None
    kept: float
    left_out: int

    def to_disk(self, path: Path) -> None:
        """Write the pipeline, and next to its files the vectors of pieces."""
        self.nlp.to_disk(path)
        if self.pieces is not None:
            (path / FILE).write_bytes(self.pieces.to_bytes())


def make_vectors(
    teacher: LoneWords, words: Sequence[str], nlp: Language, *, width: int, with_pieces: bool
) -> TeacherVectors:
    """Compute vectors of words, and of all pieces if wanted.

    The projection is fitted to the words, each of which counts once. It is the same for words and pieces.

    teacher (LoneWords): The teacher.
    words (Sequence[str]): The words. If the teacher's tokenizer ignores case, a word is also found in lower case,
        capitalised and in capitals.
    nlp (Language): A blank pipeline, which gets the vectors.
    width (int): Number of columns.
    with_pieces (bool): Whether to compute vectors of pieces as well.
    RAISES ValueError: The width does not fit the teacher or the words, or the teacher's tokenizer can't be used without
        its package.
    """
    if width > teacher.width:
        raise ValueError(f"--width is {width}, but the teacher's vectors have {teacher.width} columns; lower it")
    cutter = read_cutter(teacher.tokenizer) if with_pieces else None
    ignores_case = is_uncased(teacher, words)
    distinct = dict.fromkeys(word.lower() if ignores_case else word for word in words)
    cuts = {word: ids for word in distinct if (ids := teacher.cut(word))}
    vectors = read_all(teacher, list(cuts.values()), "words")
    projection = fit_projection(vectors, width)
    projected = projection(vectors)
    forms = (*words, *cuts, *map(str.capitalize, cuts), *map(str.upper, cuts)) if ignores_case else tuple(cuts)
    set_vectors(nlp, projected, list(cuts), forms, ignores_case=ignores_case)
    pieces = None if cutter is None else make_pieces(teacher, cutter, projection, cuts, projected)
    return TeacherVectors(nlp, pieces, projection.kept, len(distinct) - len(cuts))


def set_vectors(nlp: Language, vectors: ArrayT, names: list[str], forms: Iterable[str], *, ignores_case: bool) -> None:
    """Give the vocab one vector a name, and let several forms of a word share it. spaCy does not save the attribute by
    which vectors are found (`Vectors.attr`), so each form needs a key.

    vectors (Floats2d): The vectors, (n_words, width).
    names (list[str]): The words, in lower case if case is ignored.
    forms (Iterable[str]): The forms by which they are found.
    """
    rows = {name: row for row, name in enumerate(names)}
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=vectors)
    for form in forms:
        row = rows.get(form.lower() if ignores_case else form)
        if row is not None:
            nlp.vocab.vectors.add(nlp.vocab.strings.add(form), row=row)


def read_cutter(tokenizer: Any) -> WordPiece:
    """Read the tokenizer in a form that needs no package. Raises a ValueError if there is no such form."""
    try:
        return WordPiece.from_tokenizer(json.loads(tokenizer.to_str()))
    except ValueError as error:
        raise ValueError(
            f"--pieces does not work with this teacher: {error}. Take another teacher, or leave --pieces out and give "
            "--words or --texts"
        ) from error


def is_uncased(teacher: LoneWords, words: Iterable[str]) -> bool:
    """Whether the tokenizer cuts each letter of these words, and of the alphabet, like its lower case."""
    letters = set(ascii_uppercase).union(*words)
    return all(teacher.cut(letter) == teacher.cut(letter.lower()) for letter in letters if len(letter.lower()) == 1)


def read_all(teacher: LoneWords, cuts: Sequence[Sequence[int]], unit: str) -> ArrayT:
    """Compute the vectors of words by their pieces, (n_words, n_in), and show progress in a terminal."""
    vectors = np.zeros((len(cuts), teacher.width), dtype="float32")
    with tqdm(total=len(cuts), unit=f" {unit}", leave=False, disable=None) as bar:
        for rows, chunk in teacher.read(cuts):
            vectors[rows] = chunk
            bar.update(len(rows))
    return vectors


def make_pieces(
    teacher: LoneWords, cutter: WordPiece, projection: Projection, cuts: dict[str, list[int]], projected: ArrayT
) -> PieceVectors:
    """Compute the vectors of all pieces, and keep those of words with several pieces.

    cuts (dict[str, list[int]]): The pieces of each word.
    projected (Floats2d): The vector of each word, (n_words, width).
    """
    ids = [[teacher.tokenizer.token_to_id(piece)] for piece in cutter.settings.pieces]
    table = projection(read_all(teacher, ids, "pieces"))
    several = [index for index, pieces in enumerate(cuts.values()) if len(pieces) > 1]
    names = list(cuts)
    words = {word_key(names[index], cutter): len(table) + row for row, index in enumerate(several)}
    return PieceVectors(cutter, np.concatenate([table, projected[several]]).astype("float16"), words)
