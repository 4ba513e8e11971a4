"""`python -m spacy mtl extract`: a pipeline with some heads of a trained one."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code
from wasabi import msg

from ..pipeline.extraction import extract_to_disk, find_with_heads


def extract_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    heads: Annotated[list[str], typer.Option("--head", help="Head to extract; may be repeated")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)],
    component: Annotated[
        str | None, typer.Option("--component", help="Component of the heads, if several have heads")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep-pipe", help="Other component to keep; may be repeated")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace a pipeline in the output folder")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")
    ] = None,
) -> None:
    """Extract heads of a trained pipeline: a smaller pipeline that predicts exactly the same.

    Heads that the extracted ones need (condition_on, depends_on, consistent_with) come along, and so does the pipe that
    the component listens to. All other heads and components are dropped. The output can be loaded with spacy.load,
    packaged, and trained on.

    \b
    Examples (each after: python -m spacy mtl extract):
      training/model-best --head slots --output slots_pipeline
      training/model-best --head slots --head intent --keep-pipe sentencizer --output both
    """
    import_code(code)
    try:
        nlp, extracted = extract_to_disk(model, output, heads, component=component, keep=keep or (), replace=force)
    except (ValueError, OSError) as error:
        msg.fail("Nothing was extracted", str(error), exits=1)
    name = find_with_heads(extracted, component)
    before, after = (list(pipe.get_pipe(name).heads) for pipe in (nlp, extracted))  # type: ignore[attr-defined]
    also = [head for head in after if head not in heads]
    if also:
        msg.info(f"Came along, since the extracted heads need them: {', '.join(also)}")
    pipes = [pipe for pipe in nlp.component_names if pipe not in extracted.component_names]
    dropped = [f"head {head}" for head in before if head not in after] + [f"component {pipe}" for pipe in pipes]
    msg.info(f"Dropped: {', '.join(dropped) or 'nothing'}")
    msg.good(f"Extracted {', '.join(after)}", str(output))
