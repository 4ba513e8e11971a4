"""`python -m spacy mtl errors`: the most instructive errors of a trained pipeline, in the terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg
from wasabi.util import color, supports_ansi

from ..report.from_pipeline import data_of_pipeline
from ..report.terminal_errors import error_lines

COLORS = {"gold": "cyan", "right": "green", "wrong": "red", "note": "grey"}


def errors_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    data: Annotated[list[Path], typer.Argument(help=".spacy files or folders of them", exists=True)],
    heads: Annotated[list[str] | None, typer.Option("--head", help="Only this head; may be repeated")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Maximum number of docs for each head")] = 10,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Print the most instructive errors of each head: gold beside the prediction.

    The docs show as many different confusions as possible, the frequent ones first, and of each the shortest doc. The
    output is coloured in a terminal and plain in a pipe, or if NO_COLOR is set.

    \b
    Examples (each after: python -m spacy mtl errors):
      training/model-best test.spacy
      training/model-best test.spacy --head slots --limit 50 > errors.txt
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    try:
        found = data_of_pipeline(load_model(model), data, name=model)
        unknown = sorted(set(heads or ()) - found.metrics.keys())
        if unknown:
            raise ValueError(f"--head: there is no head {unknown[0]!r}; the heads are {', '.join(found.metrics)}")
    except (ValueError, OSError) as error:
        msg.fail("No errors were found", str(error), exits=1)
    for head in heads or found.metrics:
        print(f"\n{paint(head, 'head')}")
        for line in error_lines(found, head, limit=limit, paint=paint):
            print(line)


def paint(text: str, kind: str) -> str:
    """Colour the text if this is a terminal."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or not supports_ansi():
        return text
    return str(color(text, fg=COLORS.get(kind), bold=kind == "head"))
