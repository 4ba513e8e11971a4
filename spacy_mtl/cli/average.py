"""`python -m spacy mtl average`: the mean of the weights of several trained pipelines."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code
from wasabi import msg

from ..averaging.soup import average_to_disk
from ..cotraining.report import percent

HEADER = ("pipeline", "dev score", "mean with it", "in the mean")


def average_cli(
    models: Annotated[list[str], typer.Argument(help="Trained pipelines of one config: folders or installed packages")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)],
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev", help=".spacy file or folder: leave out pipelines that lower multitask_score", exists=True
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace a pipeline in the output folder")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipelines need")
    ] = None,
) -> None:
    """Average the weights of pipelines that were trained from one config with several seeds.

    With --dev a greedy soup: the pipelines are tried from the best to the worst, and each stays in the mean if
    multitask_score on dev does not fall. The result is as large and as fast as one of them.

    This can help pipelines that begin from the same weights, such as fine-tuned transformers or those with init_from.
    The mean of pipelines that began from different random weights is usually worse than any of them.

    Calibrations do not hold for other weights, so the result has none.

    \b
    Examples (each after: python -m spacy mtl average):
      seed0/model-best seed1/model-best seed2/model-best --output mean
      seed0/model-best seed1/model-best seed2/model-best --output soup --dev dev.spacy
    """
    import_code(code)
    try:
        soup = average_to_disk(models, output, dev=dev, replace=force)
    except (ImportError, ValueError, OSError) as error:
        msg.fail("Nothing was averaged", str(error), exits=1)
    if dev is not None:
        rows = [
            (one.path, percent(one.score), percent(one.mean_score), "yes" if one.is_used else "no")
            for one in soup.ingredients
        ]
        msg.table(rows, header=HEADER, divider=True, aligns=("l", "r", "r", "l"))
    used = sum(one.is_used for one in soup.ingredients)
    if soup.uncalibrated:
        msg.warn(
            f"The calibration of heads {', '.join(soup.uncalibrated)} was left out: it was fitted to other weights",
            "Calibrate the result: python -m spacy mtl calibrate",
        )
    score = "" if soup.score is None else f", dev score {percent(soup.score)}"
    msg.good(f"Averaged {used} of {len(models)} pipelines{score}", str(output))
