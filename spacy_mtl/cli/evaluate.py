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
    model: Annotated[str, typer.Argument(help="Model name or path")],
    data: Annotated[list[Path], typer.Argument(help="Paths to .spacy files or folders of them", exists=True)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Output JSON file for all scores")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Tokenize the raw texts instead of using the gold tokens")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Path to Python file with functions to register")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID or -1 for CPU")] = -1,
) -> None:
    """Evaluate a trained pipeline and print the scores of each head on each corpus.

    Each of DATA is a corpus of its own. A head is scored on the docs that carry its annotation. The row "all heads"
    has the mean of the main scores (multitask_score) and the share of docs whose annotation is right as a whole
    (multitask_exact).

    By default the pipeline gets the gold tokens of whole docs. "spacy evaluate --gold-preproc" splits docs into
    sentences instead, and drops the cats of docs with several sentences or a single word.

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
        output.parent.mkdir(parents=True, exist_ok=True)
        srsly.write_json(output, result.scores)
        msg.good("Wrote all scores", str(output))
