"""`python -m spacy mtl affinity`: an estimate of which heads help each other, from one short training."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..affinity.affinity_page import make_affinity_page
from ..affinity.estimate import Affinity, AffinitySettings, estimate_affinity, read_affinity, write_affinity
from ..affinity.grouping import Grouping
from ..report.page import check_output, save_page

RESULT, PAGE = "affinity.json", "affinity.html"


def affinity_cli(
    ctx: typer.Context,
    config_path: Annotated[
        Path, typer.Argument(help="Training config with several heads", exists=True, dir_okay=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result", file_okay=False)],
    steps: Annotated[int, typer.Option("--steps", min=2, help="Number of training steps")] = 500,
    every: Annotated[
        int, typer.Option("--every", min=1, help="Number of steps between two measurements, on average")
    ] = 10,
    groups: Annotated[int, typer.Option("--groups", min=1, help="Maximum number of groups to suggest")] = 3,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed in place of the config's")] = None,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the config registers")
    ] = None,
    use_gpu: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID, or -1 for CPU")] = -1,
) -> None:
    """Estimate from one short training which heads help each other, and which to train together.

    In some steps of the training, takes a step on each head's loss alone, which moves the shared encoder, measures how
    much the loss of each other head on the same batch has fallen, and undoes the step (lookahead affinity, Fifty et al.
    2021). Measuring changes nothing in the training, which is not evaluated and not saved.

    OUTPUT gets affinity.json and affinity.html, in place of older ones. Only trained baselines tell whether a grouping
    helps: see mtl compare.

    Values of the config can be overridden, as in spacy train: --paths.train train.spacy

    \b
    Examples (each after: python -m spacy mtl affinity):
      config.cfg --output affinity --paths.train train.spacy --paths.dev dev.spacy
      config.cfg --output affinity --steps 1000 --every 5 --groups 2
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
        try:
            check_files(output)
            setup_gpu(use_gpu, silent=True)
            settings = AffinitySettings(steps, every, groups, seed)
            found = estimate_affinity(config, settings, name=config_path.name, use_gpu=use_gpu)
        except (ValueError, OSError) as error:
            msg.fail("No affinity was estimated", str(error), exits=1)
    print_affinity(found)
    output.mkdir(parents=True, exist_ok=True)
    write_affinity(found, output / RESULT)
    save_page(make_affinity_page(found), output / PAGE)
    msg.good("Wrote the result", str(output / RESULT))
    msg.good("Wrote the page; open it in a browser", str(output / PAGE))


def check_files(output: Path) -> None:
    """Raise a ValueError if the result would replace a file of something else."""
    if (output / RESULT).exists():
        read_affinity(output / RESULT)
    if output.exists():
        check_output(output / PAGE)


def print_affinity(found: Affinity) -> None:
    """Print the matrix in per cent, and the groupings."""
    msg.divider("Affinity: step on the head of the row, loss of the head of the column, in per cent")
    rows = [(one, *(show(found.affinity[one][other]) for other in found.heads)) for one in found.heads]
    msg.table(rows, header=("", *found.heads), divider=True, aligns=("l", *["r"] * len(found.heads)))
    msg.divider("Which heads to train together")
    shown = [(str(len(one.groups)), describe(one), show(one.affinity)) for one in found.groupings]
    msg.table(shown, header=("groups", "heads", "mean affinity"), divider=True, aligns=("r", "l", "r"))
    for heads in found.together:
        msg.text(f"{' + '.join(heads)} stay together: one is conditioned on the other, or decoded with it")
    msg.text(f"Suggested, from {found.measured} measured steps: {describe(found.suggested)}")


def describe(grouping: Grouping) -> str:
    """The groups in a line."""
    return " | ".join(" + ".join(group) for group in grouping.groups)


def show(share: float | None) -> str:
    """An affinity in per cent, with its sign."""
    return "-" if share is None else f"{100 * share:+.2f}"
