"""`python -m spacy mtl vectors`: static word vectors from a transformer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import spacy
import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.language import Language
from wasabi import msg

from ..encoders.hash_embed_cnn.piece_vectors import FILE
from ..encoders.transformer.lone_words import LoneWords
from ..teacher_vectors.make_vectors import TeacherVectors, make_vectors
from ..teacher_vectors.teacher import load_teacher
from ..teacher_vectors.word_list import listed_words, words_of_texts, words_of_tokenizer
from ..whole_folder import check_writable, write_whole


def vectors_cli(
    teacher: Annotated[
        str,
        typer.Argument(help="Pipeline with a transformer, or Hugging Face model: a folder, a package or a name"),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)],
    words: Annotated[list[Path] | None, typer.Option("--words", help="File of words, one a line; repeatable")] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option("--texts", help="Texts whose words to take: .txt, .jsonl, .spacy or a folder; repeatable"),
    ] = None,
    from_tokenizer: Annotated[
        bool, typer.Option("--from-tokenizer", help="Take the whole words of the teacher's vocabulary")
    ] = False,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Also write vectors of all word pieces, so that no word is unknown")
    ] = False,
    width: Annotated[int, typer.Option("--width", min=1, help="Number of columns of the vectors")] = 128,
    min_count: Annotated[int, typer.Option("--min-count", min=1, help="Minimum count of a word in --texts")] = 1,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Maximum number of words of --texts, the most frequent first; 0: all")
    ] = 0,
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language of the pipeline that will use them")] = "en",
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace vectors in the output folder")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the teacher needs")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID, or -1 for CPU")] = -1,
) -> None:
    """Make static word vectors from a transformer, for a small pipeline that needs none.

    Each word alone goes through the transformer. The mean of the vectors of its pieces, special pieces left out, is
    reduced to --width columns (principal components). Needs the extra transformers; the small pipeline does not.

    OUTPUT is a folder for [initialize] vectors; set pretrained_vectors = true in the encoder. With --pieces it is also
    a folder for piece_vectors of spacy_mtl.HashEmbedCNN.v1: words of the list keep their vectors, and any other word
    gets the mean of the vectors of its pieces. Without other words, --pieces takes those of --from-tokenizer.

    \b
    Examples (each after: python -m spacy mtl vectors):
      training/teacher/model-best --texts train.spacy --texts raw.txt --min-count 2 --output vectors
      sentence-transformers/all-MiniLM-L6-v2 --pieces --output vectors
    """
    import_code(code)
    try:
        check_writable(output, replace=force)
        nlp = spacy.blank(lang)
        listed = [*read_lists(words or ()), *read_words(texts or (), nlp, min_count=min_count, limit=limit)]
        if not (listed or from_tokenizer or pieces):
            raise ValueError("there are no words: give --words, --texts, --from-tokenizer or --pieces")
        setup_gpu(gpu_id, silent=True)
        reader = LoneWords(load_teacher(teacher))
        if from_tokenizer or not listed:
            listed += words_of_tokenizer(reader)
        made = make_vectors(reader, listed, nlp, width=width, with_pieces=pieces)
        write_whole(made, output)
    except (ImportError, ValueError, OSError, MemoryError) as error:
        msg.fail("No vectors were made", str(error), exits=1)
    show(made, output)


def read_lists(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the words of all lists."""
    for path in paths:
        yield from listed_words(path)


def read_words(paths: Sequence[Path], nlp: Language, *, min_count: int, limit: int) -> list[str]:
    """Return the words of the texts, if there are any."""
    return words_of_texts(paths, nlp, min_count=min_count, limit=limit) if paths else []


def show(made: TeacherVectors, output: Path) -> None:
    """Print what was written and how to use it."""
    vectors = made.nlp.vocab.vectors
    msg.info(f"{vectors.shape[0]} words, {vectors.shape[1]} columns with {100 * made.kept:.1f} % of the variance")
    if made.left_out:
        msg.info(f"{made.left_out} words have no pieces and got no vector")
    msg.good("Wrote word vectors", f"--initialize.vectors {output}, with pretrained_vectors = true in the encoder")
    if made.pieces is not None:
        size = (output / FILE).stat().st_size
        msg.good(f"Wrote vectors of pieces, {size / 2**20:.1f} MB", f'piece_vectors = "{output}" in the encoder')
