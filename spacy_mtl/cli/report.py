"""`python -m spacy mtl report`: a page on a comparison, or on one trained pipeline."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg

from ..report.from_comparison import data_of_comparison
from ..report.from_pipeline import data_of_pipeline
from ..report.page import check_output, write_page

PAGE = "report.html"


def report_cli(
    source: Annotated[
        str, typer.Argument(help="Folder of a comparison; or, with DATA, a trained pipeline: a folder or a package")
    ],
    data: Annotated[
        list[Path] | None, typer.Argument(help=".spacy files or folders of them, each a corpus", exists=True)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file; report.html in the folder of a comparison")
    ] = None,
    explain: Annotated[
        int,
        typer.Option(
            "--explain",
            min=0,
            help="Number of docs from which the words that decide are collected, with DATA; 0 leaves the section out",
        ),
    ] = 100,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipelines need")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Write a report as one HTML file that opens from disk, without a network.

    Of one trained pipeline it shows the scores of each head and label, what is taken for what, the words that led to
    the predictions, and the most instructive errors; of the folder of mtl compare also the verdict on each head, the
    learning curves and the cost, and everything beside training alone, but no explanations.

    \b
    Examples (each after: python -m spacy mtl report):
      training/model-best test.spacy --output report.html
      comparison
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    try:
        if data:
            page = output or Path(PAGE)
            check_output(page)
            found = data_of_pipeline(load_model(source), data, name=Path(source).resolve().name, n_explained=explain)
        else:
            page = output or Path(source) / PAGE
            check_output(page)
            found = data_of_comparison(Path(source))
        write_page(found, page)
    except (ValueError, OSError) as error:
        msg.fail("No report was written", str(error), exits=1)
    msg.good("Wrote the report", str(page))
