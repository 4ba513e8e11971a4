"""`python -m spacy mtl init-config`: a complete, commented config from heads, corpora or data."""

import sys
import textwrap
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, show_validation_error
from wasabi import msg

from ..config_writer.config_plan import Plan
from ..config_writer.request_options import RequestOptions
from ..config_writer.write_config import write_config


class Optimize(str, Enum):
    """The values of `--optimize`."""

    speed = "speed"
    accuracy = "accuracy"


def init_config_cli(
    output: Annotated[str, typer.Argument(help="Config file to write, or - for stdout")] = "-",
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language of the texts (two- or three-letter code)")] = "en",
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", help="NAME:KIND or NAME:KIND:OPTION=VALUE,…; repeatable. KIND is a short name"),
    ] = None,
    from_data: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--from-data", help="Train and dev file (.spacy) to propose heads and settings from"),
    ] = None,
    corpora: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            help="NAME=PATH or NAME=PATH:HEAD,…; repeatable, for several corpora. PATH is a folder with train.spacy "
            "and dev.spacy, or a .spacy file to train on alone. Without heads, these are proposed from the data. "
            "NAME=PATH:HEADS:DEV_HEADS scores other heads than those that learn",
        ),
    ] = None,
    optimize: Annotated[
        Optimize, typer.Option("--optimize", "-o", help="Fast training and prediction, or higher scores")
    ] = Optimize.speed,
    transformer: Annotated[
        str | None,
        typer.Option("--transformer", "-t", help="Pretrained transformer: a folder or a name of the Hugging Face Hub"),
    ] = None,
    transformer_pipe: Annotated[
        bool,
        typer.Option("--transformer-pipe", help="Put the transformer in a pipe of spacy-transformers, for others too"),
    ] = False,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Number of training steps [default: what fits the data]")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weight", help="HEAD=FACTOR of the head's loss; repeatable")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores", help="SCORE=WEIGHT,… that choose the best model; repeatable [default: the main scores, equally]"
        ),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="Sampler of several corpora: NAME or NAME:OPTION=VALUE,…")
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option("--rename", help="CORPUS:OLD=NEW,…: new names of a corpus's labels; repeatable"),
    ] = None,
    own_tokens: Annotated[
        bool,
        typer.Option("--own-tokens", help="Train on the pipeline's own tokens, not on those of the gold docs"),
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE of the config; repeatable")
    ] = None,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Path to Python file with functions to register")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Overwrite an existing file")] = False,
) -> None:
    """Write a complete, commented training config.

    Name the heads with --head, or let the command look at data: --from-data for one corpus, --corpus without heads for
    several. It then proposes heads, loss weights, sampler, steps, batch size and score weights, and says why, on the
    terminal and in the comments of the config. With --head too, it proposes only the numbers.

    The config has nothing left to fill. Its first lines are the command that wrote it.

    \b
    Examples (each after: python -m spacy mtl init-config):
      config.cfg --head intent:textcat --head slots:ner:condition_on=intent
      config.cfg --from-data train.spacy dev.spacy
      config.cfg --corpus snips=corpus/snips --corpus news=corpus/news --optimize accuracy
      - --from-data train.spacy dev.spacy --transformer roberta-base
    """
    import_code(code)
    options = RequestOptions(
        output=output,
        lang=lang,
        head=heads or (),
        from_data=from_data,
        corpus=corpora or (),
        optimize=optimize.value,
        transformer=transformer,
        transformer_pipe=transformer_pipe,
        steps=steps,
        weight=weights or (),
        scores=scores or (),
        sampler=sampler,
        rename=renamed or (),
        own_tokens=own_tokens,
        set=settings or (),
        code=code,
    )
    try:
        if output != "-" and Path(output).exists() and not force:
            raise ValueError(f"{output} exists; --force overwrites it")
        with show_validation_error(hint_fill=False):
            written = write_config(options.read(), output)
    except (ImportError, ValueError, OSError) as error:
        msg.fail("Nothing was written", str(error), exits=1)
    if output == "-":
        for warning in written.plan.warnings:
            print(warning, file=sys.stderr)
        print(written.text, end="")
        return
    _print_plan(written.plan)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(written.text, encoding="utf8")
    msg.good("Wrote the config", output)


def _print_plan(plan: Plan) -> None:
    """Print the heads and the reasons of what the data decided, if any was looked at."""
    if any(head.n_train is not None for head in plan.heads):
        rows = [
            (head.name, head.kind, head.n_labels, head.n_train, head.n_dev, head.weight, _wrapped(head.why))
            for head in plan.heads
        ]
        header = ("head", "kind", "labels", "docs in train", "docs in dev", "weight", "why")
        msg.table(rows, header=header, divider=True, aligns=("l", "l", "r", "r", "r", "r", "l"), multiline=True)
        reasons = [(name, _wrapped([why], 90)) for name, why in plan.why.items() if why]
        msg.table(reasons, header=("setting", "why"), divider=True, multiline=True)
    for warning in plan.warnings:
        msg.warn(warning)


def _wrapped(clauses: Sequence[str], width: int = 60) -> list[str]:
    return [line for clause in clauses for line in textwrap.wrap(clause, width)]
