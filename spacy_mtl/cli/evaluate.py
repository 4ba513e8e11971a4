"""`python -m spacy mtl evaluate`: the scores of each head on each corpus."""

from pathlib import Path
from typing import Annotated

import srsly
import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg

from ..experiments.evaluate import evaluate, table


def evaluate_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    data: Annotated[list[Path], typer.Argument(help=".spacy files or folders of them, each a corpus", exists=True)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for all scores")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Tokenize the texts, instead of using the gold tokens")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Evaluate a trained pipeline: one row for each head and corpus, and the share of docs that are right as a whole.

    spacy evaluate prints spaCy's standard scores only, and with --gold-preproc it loses the cats of docs of one word
    or of several sentences. This command reads whole docs and prints what each head reports. A head is scored on docs
    that carry its annotation.

    \b
    Examples (each after: python -m spacy mtl evaluate):
      training/model-best test.spacy
      training/model-best news/test.spacy web/test.spacy --output scores.json
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    try:
        nlp = load_model(model)
        result = evaluate(nlp, data, gold_tokens=not raw)
    except (ValueError, OSError) as error:
        msg.fail("Nothing was evaluated", str(error), exits=1)
    header = ("corpus", "head", "docs", "main score", "other scores")
    msg.table(table(nlp, result), header=header, divider=True, max_col=80)
    if output is not None:
        srsly.write_json(output, result.scores)
        msg.good("Wrote all scores", str(output))
