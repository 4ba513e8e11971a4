"""`python -m spacy mtl convert`: published file formats to `.spacy` files."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..converters.conversion import Options, convert, make_nlp
from ..converters.inputs import guess_format
from ..converters.output import Counts
from ..converters.text_files import ConversionError


class Format(str, Enum):
    """The values of `--format`."""

    auto = "auto"
    joint = "joint"
    iob = "iob"
    conllu = "conllu"
    table = "table"
    spert = "spert"
    crossre = "crossre"
    prodigy = "prodigy"
    brat = "brat"


class TokenizerName(str, Enum):
    """The values of `--tokenizer`."""

    spacy = "spacy"
    whitespace = "whitespace"


class Discontinuous(str, Enum):
    """The values of `--discontinuous`."""

    error = "error"
    cover = "cover"
    skip = "skip"


# The formats that look at an option; --lang, --tokenizer, --encoding and --format are for all.
USED_BY = {
    "text": ("table",),
    "label": ("table",),
    "quotes": ("table",),
    "columns": ("table",),
    "multilabel": ("table", "joint"),
    "separator": ("table", "joint"),
    "token_column": ("iob",),
    "ent_column": ("iob",),
    "n_sents": ("conllu",),
    "ner_key": ("conllu",),
    "discontinuous": ("brat",),
}


def convert_cli(
    ctx: typer.Context,
    input_path: Annotated[Path, typer.Argument(help="File or folder to convert", exists=True)],
    output: Annotated[Path, typer.Argument(help="Path to a .spacy file, or to a folder for one NAME.spacy per input")],
    format: Annotated[Format, typer.Option("--format", "-f", help="Input format")] = Format.auto,
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language of the texts (two- or three-letter code)")] = "en",
    tokenizer: Annotated[
        TokenizerName,
        typer.Option(help="Tokenizer for raw text (table, brat), and for the count of misaligned entities"),
    ] = TokenizerName.spacy,
    encoding: Annotated[str, typer.Option(help="Encoding of the input files")] = "utf-8",
    text: Annotated[str, typer.Option(help="Column of the texts (table)")] = "text",
    label: Annotated[
        list[str] | None, typer.Option(help="Column of labels (table); repeatable [default: label]")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Names of all columns, as in text,label, for CSV and TSV files without a header (table)"),
    ] = None,
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="Read any number of labels from one cell or line (table, joint)")
    ] = False,
    separator: Annotated[
        str | None, typer.Option(help="Separator of these labels [default: , (table), # (joint)]")
    ] = None,
    quotes: Annotated[bool, typer.Option(help='Treat " as quotation mark of CSV and TSV cells (table)')] = True,
    token_column: Annotated[int, typer.Option(help="Column of the words (iob); 1 is the first, -1 the last")] = 1,
    ent_column: Annotated[int, typer.Option(help="Column of the entity tags (iob)")] = -1,
    n_sents: Annotated[int, typer.Option("--n-sents", "-n", min=1, help="Number of sentences per doc (conllu)")] = 1,
    ner_key: Annotated[
        str | None, typer.Option(help="Key of the entity tags in MISC, name for name=B-PER (conllu) [default: none]")
    ] = None,
    discontinuous: Annotated[
        Discontinuous,
        typer.Option(help="Entities in several parts: refuse them, cover all from first to last part, or skip (brat)"),
    ] = Discontinuous.error,
) -> None:
    """Convert files to .spacy files with doc.cats, doc.ents, token annotation or relations.

    The format is guessed from the suffix of INPUT_PATH, or from what the folder holds:

    \b
    joint   intents and slots: folder with seq.in, seq.out and label
    iob     entities in columns (.iob .iob2 .bio .conll; .txt with --format iob)
    conllu  Universal Dependencies (.conllu)
    table   texts with labels (.csv .tsv .jsonl)
    spert   entities and relations: JSON of SpERT, as CoNLL04 (.json)
    crossre entities and relations: CrossRE (.json .jsonl)
    prodigy entities and relations: Prodigy's rel.manual (.jsonl)
    brat    entities and relations: folder with .txt and .ann files

    Relations go to doc.spans["relations"], their entities to doc.ents and, with those that overlap, to
    doc.spans["entities"].

    Convert all splits of a corpus together, by giving their folder: every doc then has the labels of all files as keys
    of doc.cats. Files called val, valid, validation, devel or development become dev.spacy. If an input is malformed,
    the command names file and line, and nothing is written.

    \b
    Examples (each after: python -m spacy mtl convert):
      atis/ corpus/
      train.conllu corpus/train.spacy --n-sents 5
      reviews.csv corpus/ --text body --label topic --label mood
      reviews.tsv corpus/ --columns label,text
      conll04/ corpus/
    """
    options = Options(
        encoding=encoding,
        text=text,
        labels=tuple(label or ["label"]),
        multilabel=multilabel,
        separator=separator,
        quotes=quotes,
        columns=tuple(name.strip() for name in columns.split(",")) if columns else (),
        token_column=token_column,
        ent_column=ent_column,
        n_sents=n_sents,
        ner_key=ner_key,
        discontinuous=discontinuous.value,
    )
    try:
        chosen = guess_format(input_path) if format is Format.auto else format.value
        _check_used(ctx, chosen)
        nlp = make_nlp(lang, tokenizer.value)
        counts = convert(input_path, output, format=chosen, nlp=nlp, options=options)
    except (ConversionError, OSError) as e:
        msg.fail("Nothing was written", str(e), exits=1)
    _print_counts(counts)


def _check_used(ctx: typer.Context, format: str) -> None:
    for name, formats in USED_BY.items():
        source = ctx.get_parameter_source(name)
        if format not in formats and source is not None and source.name == "COMMANDLINE":
            flag = f"--{name.replace('_', '-')}"
            raise ConversionError(Path(flag), f"the format is {format}, the option is for {', '.join(formats)}")


def _print_counts(counts: Mapping[Path, Counts]) -> None:
    has_relations = any(c.relations for c in counts.values())
    header = ["file", "docs", "tokens", "cats", "entities", "entity labels", "misaligned"]
    rows = []
    for path, c in counts.items():
        row: list[object] = [str(path), c.docs, c.tokens, len(c.cats), c.ents.total(), len(c.ents), c.misaligned]
        rows.append(row + [c.relations.total(), len(c.relations)] * has_relations)
    msg.table(rows, header=header + ["relations", "relation labels"] * has_relations)
    misaligned = sum(c.misaligned for c in counts.values())
    if misaligned:
        msg.warn(
            f"{misaligned} entities do not start and end at tokens of the tokenizer",
            "A pipeline with this tokenizer sees them as missing. Read the corpus with spacy_mtl.Corpus.v1 and "
            "gold_tokens = true, or give the pipeline a tokenizer that makes the same tokens.",
        )
