"""`python -m spacy mtl merge`: the heads of two trained pipelines in one."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code
from wasabi import msg

from ..pipeline.extraction import find_with_heads
from ..pipeline.head_table import HEADER, head_rows
from ..pipeline.merging import merge_to_disk


def merge_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    other: Annotated[str, typer.Argument(help="Trained pipeline whose heads are added, with the same encoder")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)],
    heads: Annotated[
        list[str] | None, typer.Option("--head", help="Head of OTHER to add instead of all; may be repeated")
    ] = None,
    component: Annotated[
        str | None, typer.Option("--component", help="Component of MODEL with the heads, if several have heads")
    ] = None,
    other_component: Annotated[
        str | None, typer.Option("--other-component", help="Component of OTHER with the heads, if several have heads")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace a pipeline in the output folder")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipelines need")
    ] = None,
) -> None:
    """Merge the heads of two trained pipelines into one, which predicts exactly what both do and encodes a text once.

    Both encoders must have the same weights: the pipelines were trained from the same one with its encoder frozen, each
    with a new head. A head that is in both, unchanged, is taken once. Other components of OTHER are left out, and the
    settings of the training are those of MODEL.

    \b
    Examples (each after: python -m spacy mtl merge):
      with_entities with_intents --output both
      with_entities with_intents --head intent --output both
    """
    import_code(code)
    try:
        merged = merge_to_disk(
            model, other, output, heads, component=component, other_component=other_component, replace=force
        )
    except (ValueError, OSError) as error:
        msg.fail("Nothing was merged", str(error), exits=1)
    msg.table(list(head_rows(merged, find_with_heads(merged, component))), header=HEADER, divider=True, max_col=80)
    msg.good("Saved", str(output))
