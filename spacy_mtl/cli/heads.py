"""`python -m spacy mtl heads`: list, add, remove and rename the heads of a trained pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.cli._util import import_code
from spacy.training import Corpus
from spacy.util import load_config, load_model
from wasabi import msg

from ..pipeline.extraction import find_with_heads
from ..pipeline.head_changes import remove_heads
from ..pipeline.head_table import HEADER, head_rows
from ..whole_folder import check_writable, write_whole

heads_cli = typer.Typer(name="heads", help="List, add, remove and rename heads of a pipeline.", no_args_is_help=True)

ModelT = Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")]
OutputT = Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)]
ForceT = Annotated[bool, typer.Option("--force", "-F", help="Replace a pipeline in the output folder")]
ComponentT = Annotated[str | None, typer.Option("--component", help="Component of the heads, if several have heads")]
CodeT = Annotated[Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")]


@heads_cli.command("list")
def list_cli(model: ModelT, component: ComponentT = None, code: CodeT = None) -> None:
    """Print name, kind, labels, number of parameters and main score of each head.

    \b
    Example:
      python -m spacy mtl heads list training/model-best
    """
    import_code(code)
    try:
        nlp = load_model(model)
        rows = list(head_rows(nlp, find_with_heads(nlp, component)))
    except (ValueError, OSError) as error:
        msg.fail("No heads were found", str(error), exits=1)
    msg.table(rows, header=HEADER, divider=True, max_col=80)


@heads_cli.command("add")
def add_cli(
    model: ModelT,
    name: Annotated[str, typer.Argument(help="Name of the new head")],
    config: Annotated[
        Path, typer.Option("--config", help="Config file with the section [head] of the new head", exists=True)
    ],
    output: OutputT,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help=".spacy file with gold of the head", exists=True)
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="Label of the head, instead of --data; may be repeated")
    ] = None,
    component: ComponentT = None,
    force: ForceT = False,
    code: CodeT = None,
) -> None:
    """Add a head, with random weights, to a trained pipeline. The other heads predict what they did.

    Train the output to teach the new head. To add a head in the config of a training instead, use init_from in
    [initialize.components.multitask].

    \b
    Example, with [head] in head.cfg holding @mtl_heads = "spacy_mtl.Tagger.v1" and attr = "pos":
      python -m spacy mtl heads add training/model-best pos --config head.cfg --data train.spacy --output larger
    """

    def change(pipe: Any, nlp: Any) -> None:
        section = load_config(config).interpolate().get("head")
        if section is None:
            raise ValueError(f"{config} has no section [head] with the settings of the new head")
        examples = None if data is None else lambda: Corpus(data)(nlp)
        pipe.add_head(name, section, nlp=nlp, get_examples=examples, labels=labels or None)

    apply(change, model, output, component=component, force=force, code=code)


@heads_cli.command("remove")
def remove_cli(
    model: ModelT,
    names: Annotated[list[str], typer.Argument(help="Heads to remove")],
    output: OutputT,
    component: ComponentT = None,
    force: ForceT = False,
    code: CodeT = None,
) -> None:
    """Remove heads from a trained pipeline. The other heads predict exactly what they did.

    \b
    Example:
      python -m spacy mtl heads remove training/model-best intent --output smaller
    """
    apply(lambda pipe, nlp: remove_heads(pipe, nlp, names), model, output, component=component, force=force, code=code)


@heads_cli.command("rename")
def rename_cli(
    model: ModelT,
    old: Annotated[str, typer.Argument(help="Name of the head")],
    new: Annotated[str, typer.Argument(help="New name")],
    output: OutputT,
    component: ComponentT = None,
    force: ForceT = False,
    code: CodeT = None,
) -> None:
    """Rename a head of a trained pipeline. All heads predict exactly what they did.

    \b
    Example:
      python -m spacy mtl heads rename training/model-best intent command --output renamed
    """
    apply(
        lambda pipe, nlp: pipe.rename_head(old, new, nlp=nlp),
        model,
        output,
        component=component,
        force=force,
        code=code,
    )


def apply(
    change: Callable[[Any, Any], None],
    model: str,
    output: Path,
    *,
    component: str | None,
    force: bool,
    code: Path | None,
) -> None:
    """Load a pipeline, change its component with heads, and save it, all of it or nothing."""
    import_code(code)
    try:
        check_writable(output, replace=force)
        nlp = load_model(model)
        name = find_with_heads(nlp, component)
        change(nlp.get_pipe(name), nlp)
        write_whole(nlp, output)
    except (ValueError, OSError) as error:
        msg.fail("Nothing was changed", str(error), exits=1)
    msg.table(list(head_rows(nlp, name)), header=HEADER, divider=True, max_col=80)
    msg.good("Saved", str(output))
