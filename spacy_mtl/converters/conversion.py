"""A corpus in one of the formats to `.spacy` files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from .brat import DiscontinuousT, convert_brat
from .conllu import convert_conllu
from .crossre import convert_crossre
from .csv_jsonl import collect_values, convert_table
from .inputs import find_inputs
from .iob import convert_iob
from .joint import collect_intents, convert_joint
from .output import Counts, write_docs
from .prodigy import convert_prodigy
from .spert import convert_spert
from .text_files import ConversionError


@dataclass(frozen=True)
class Options:
    """The options of single formats; the `convert_*` functions say what each does."""

    encoding: str = "utf-8"
    text: str = "text"
    labels: tuple[str, ...] = ("label",)
    multilabel: bool = False
    separator: str | None = None
    quotes: bool = True
    columns: tuple[str, ...] = ()
    token_column: int = 1
    ent_column: int = -1
    n_sents: int = 1
    ner_key: str | None = None
    discontinuous: DiscontinuousT = "error"


StreamsT = Mapping[str, Iterable[Doc]]  # docs by the name of their output


def convert(
    input_path: Path, output: Path, *, format: str, nlp: Language, options: Options = Options()
) -> dict[Path, Counts]:
    """Convert a corpus to `.spacy` files: all of them, or none if there is an error.

    input_path (Path): A file or folder of the format, or a folder of several.
    output (Path): A path that ends in `.spacy` if there is one input, else a folder, created if missing.
    format (str): One of `inputs.FORMATS`.
    nlp (Language): Its tokenizer splits raw text; entities that do not fit its tokens are counted.
    options (Options): The options of single formats.
    RETURNS (dict[Path, Counts]): What was written to each file.
    RAISES ConversionError: The input is malformed, or there is no such format.
    RAISES OSError: A file cannot be read or written.
    """
    if format not in STREAMS:
        raise ConversionError(input_path, f"format is {format!r}, expected one of {', '.join(STREAMS)}")
    streams = STREAMS[format](input_path, nlp, options)
    return write_docs({_output_path(output, name, len(streams)): docs for name, docs in streams.items()}, nlp)


def make_nlp(lang: str, tokenizer: str = "spacy") -> Language:
    """A blank pipeline.

    lang (str): The language code.
    tokenizer (str): "spacy" for the tokenizer of the language, "whitespace" for one token a word.
    RETURNS (Language): The pipeline.
    RAISES ConversionError: spaCy has no such language.
    """
    try:
        nlp = spacy.blank(lang)
    except ImportError as e:
        raise ConversionError(Path("--lang"), f"spaCy cannot make a pipeline for {lang!r}: {e}") from e
    if tokenizer == "whitespace":
        nlp.tokenizer = lambda text: Doc(nlp.vocab, words=text.split())
    return nlp


def _joint(path: Path, nlp: Language, options: Options) -> StreamsT:
    inputs = find_inputs(path, "joint")
    separator = (options.separator or "#") if options.multilabel else None
    intents = collect_intents(inputs.values(), separator=separator, encoding=options.encoding)
    return {
        name: convert_joint(folder, nlp.vocab, intents=intents, separator=separator, encoding=options.encoding)
        for name, folder in inputs.items()
    }


def _iob(path: Path, nlp: Language, options: Options) -> StreamsT:
    columns = {"token_column": options.token_column, "ent_column": options.ent_column}
    inputs = find_inputs(path, "iob")
    return {name: convert_iob(file, nlp.vocab, encoding=options.encoding, **columns) for name, file in inputs.items()}


def _conllu(path: Path, nlp: Language, options: Options) -> StreamsT:
    return {
        name: convert_conllu(
            file, nlp.vocab, n_sents=options.n_sents, ner_key=options.ner_key, encoding=options.encoding
        )
        for name, file in find_inputs(path, "conllu").items()
    }


def _table(path: Path, nlp: Language, options: Options) -> StreamsT:
    inputs = find_inputs(path, "table")
    separator = options.separator or ","
    keys = collect_values(
        inputs.values(),
        options.labels,
        multilabel=options.multilabel,
        separator=separator,
        quotes=options.quotes,
        columns=options.columns,
        encoding=options.encoding,
    )
    return {
        name: convert_table(
            file,
            nlp,
            text=options.text,
            labels=options.labels,
            multilabel=options.multilabel,
            separator=separator,
            quotes=options.quotes,
            columns=options.columns,
            keys=keys,
            encoding=options.encoding,
        )
        for name, file in inputs.items()
    }


def _spert(path: Path, nlp: Language, options: Options) -> StreamsT:
    inputs = find_inputs(path, "spert")
    return {name: convert_spert(file, nlp.vocab, encoding=options.encoding) for name, file in inputs.items()}


def _crossre(path: Path, nlp: Language, options: Options) -> StreamsT:
    inputs = find_inputs(path, "crossre")
    return {name: convert_crossre(file, nlp.vocab, encoding=options.encoding) for name, file in inputs.items()}


def _prodigy(path: Path, nlp: Language, options: Options) -> StreamsT:
    inputs = find_inputs(path, "prodigy")
    return {name: convert_prodigy(file, nlp, encoding=options.encoding) for name, file in inputs.items()}


def _brat(path: Path, nlp: Language, options: Options) -> StreamsT:
    return {
        name: convert_brat(found, nlp, discontinuous=options.discontinuous, encoding=options.encoding)
        for name, found in find_inputs(path, "brat").items()
    }


STREAMS: dict[str, Callable[[Path, Language, Options], StreamsT]] = {
    "joint": _joint,
    "iob": _iob,
    "conllu": _conllu,
    "table": _table,
    "spert": _spert,
    "crossre": _crossre,
    "prodigy": _prodigy,
    "brat": _brat,
}


def _output_path(output: Path, name: str, n_outputs: int) -> Path:
    if output.suffix != ".spacy":
        return output / f"{name}.spacy"
    if n_outputs > 1:
        raise ConversionError(output, f"the input becomes {n_outputs} files, expected a folder")
    return output
