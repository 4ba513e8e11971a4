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
    snips = "snips"
    iob = "iob"
    conllu = "conllu"
    table = "table"


class TokenizerName(str, Enum):
    """The values of `--tokenizer`."""

    spacy = "spacy"
    whitespace = "whitespace"


class SnipsSplit(str, Enum):
    """The values of `--split`."""

    standard = "standard"
    random = "random"


# The formats that look at an option; --lang, --tokenizer and --format are for all.
USED_BY = {
    "encoding": ("joint", "iob", "conllu", "table"),
    "text": ("table",),
    "label": ("table",),
    "quotes": ("table",),
    "multilabel": ("table", "joint"),
    "separator": ("table", "joint"),
    "token_column": ("iob",),
    "ent_column": ("iob",),
    "n_sents": ("conllu",),
    "ner_key": ("conllu",),
    "split": ("snips",),
    "dev_size": ("snips",),
    "seed": ("snips",),
    "lower": ("snips",),
    "drop_punct": ("snips",),
}


def convert_cli(
    ctx: typer.Context,
    input_path: Annotated[Path, typer.Argument(help="File or folder to convert", exists=True)],
    output: Annotated[Path, typer.Argument(help="A .spacy file, or a folder for NAME.spacy of each input")],
    format: Annotated[Format, typer.Option("--format", "-f", help="Input format")] = Format.auto,
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language code of the texts")] = "en",
    tokenizer: Annotated[
        TokenizerName, typer.Option(help="For raw text (snips, table), and to count misaligned entities")
    ] = TokenizerName.spacy,
    encoding: Annotated[str, typer.Option(help="Encoding of the input (all but snips)")] = "utf-8",
    text: Annotated[str, typer.Option(help="table: column of the texts")] = "text",
    label: Annotated[
        list[str] | None, typer.Option(help="table: column of labels; repeatable [default: label]")
    ] = None,
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="table, joint: a cell holds any number of labels")
    ] = False,
    separator: Annotated[
        str | None, typer.Option(help="With --multilabel: what stands between labels [default: , (table) # (joint)]")
    ] = None,
    quotes: Annotated[bool, typer.Option(help='table: " quotes cells of CSV and TSV files')] = True,
    token_column: Annotated[int, typer.Option(help="iob: column of the words; 1 is the first, -1 the last")] = 1,
    ent_column: Annotated[int, typer.Option(help="iob: column of the entity tags")] = -1,
    n_sents: Annotated[int, typer.Option("--n-sents", "-n", min=1, help="conllu: sentences a doc")] = 1,
    ner_key: Annotated[
        str | None, typer.Option(help="conllu: key in MISC with entity tags, as in name=B-PER [default: no entities]")
    ] = None,
    split: Annotated[
        SnipsSplit, typer.Option(help="snips: the papers' test set, or dev drawn by --seed and test from validate_*")
    ] = SnipsSplit.standard,
    dev_size: Annotated[int, typer.Option(min=0, help="snips, --split random: docs in dev")] = 700,
    seed: Annotated[int, typer.Option(help="snips, --split random: seed of the draw")] = 0,
    lower: Annotated[bool, typer.Option("--lower/--no-lower", help="snips: lower-case the text")] = False,
    drop_punct: Annotated[
        bool, typer.Option("--drop-punct", help="snips: turn . , ; ! ? ' into spaces, as the papers' files do")
    ] = False,
) -> None:
    """Convert a corpus to .spacy files with doc.cats and doc.ents.

    \b
    joint   folder with seq.in, seq.out and label
    snips   folder of INTENT/train_INTENT_full.json and validate_INTENT.json
    iob     CoNLL columns (.iob .iob2 .bio .conll)
    conllu  CoNLL-U (.conllu)
    table   texts with labels (.csv .tsv .jsonl)

    A folder of files or of joint folders is converted together: every doc then has the labels of all files as keys
    of doc.cats. On an error nothing is written.

    \b
    Examples (each after: python -m spacy mtl convert):
      atis/ corpus/
      train.conllu corpus/train.spacy --n-sents 5
      reviews.csv corpus/ --text body --label topic --label mood
      nlu-benchmark/ corpus/ --lower --drop-punct --tokenizer whitespace
    """
    options = Options(
        encoding=encoding,
        text=text,
        labels=tuple(label or ["label"]),
        multilabel=multilabel,
        separator=separator,
        quotes=quotes,
        token_column=token_column,
        ent_column=ent_column,
        n_sents=n_sents,
        ner_key=ner_key,
        split=split.value,
        dev_size=dev_size,
        seed=seed,
        lower=lower,
        drop_punct=drop_punct,
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
    rows = [
        (str(path), c.docs, c.tokens, len(c.cats), c.ents.total(), len(c.ents), c.misaligned)
        for path, c in counts.items()
    ]
    msg.table(rows, header=("file", "docs", "tokens", "cats", "entities", "entity labels", "misaligned"))
    misaligned = sum(c.misaligned for c in counts.values())
    if misaligned:
        msg.warn(
            f"{misaligned} entities do not start and end at tokens of the tokenizer",
            "A pipeline with this tokenizer sees them as missing. Read the corpus with spacy_mtl.Corpus.v1 and "
            "gold_tokens = true, or give the pipeline a tokenizer that makes the same tokens.",
        )
