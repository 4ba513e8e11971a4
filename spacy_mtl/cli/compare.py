"""`python -m spacy mtl compare`: whether sharing an encoder helps each head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..comparison.compare import REPORT, Running, compare
from ..comparison.planning import Settings
from ..comparison.result import Comparison, Cost, Difference, Interval
from ..experiments.budget import Budget
from ..report.from_comparison import data_of_comparison
from ..report.page import write_page
from .report import PAGE

HEADER = ("head", "score", "together", "alone", "difference", "95 % interval", "verdict")


def compare_cli(
    ctx: typer.Context,
    config_path: Annotated[
        Path, typer.Argument(help="Training config with several heads", exists=True, dir_okay=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for runs and report", file_okay=False)],
    seeds: Annotated[int, typer.Option("--seeds", "-s", min=1, help="Number of seeds of each system")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of runs at once, each with a thread")] = 1,
    budget: Annotated[Budget, typer.Option("--budget", help="What all systems get the same of")] = Budget.steps,
    test: Annotated[
        str | None, typer.Option("--test", help=".spacy file or folder, or a reader of the config: corpora.test")
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also train each two heads together")] = False,
    leave_one_out: Annotated[bool, typer.Option("--leave-one-out", help="Also train all heads but one")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Cut heads off from those they are conditioned on or decoded with")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost/--no-cost", help="Measure speed and memory of the pipelines, too")
    ] = True,
    engine: Annotated[str, typer.Option("--engine", help="Engine that carries out the runs")] = "local",
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the config registers")
    ] = None,
    use_gpu: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID, or -1 for CPU")] = -1,
) -> None:
    """Find out for each head whether joint training helps or hurts it.

    Trains the config, and for each head the same config with this head alone, with several seeds. Judges all models on
    dev and test, and compares them head by head.

    A head stays with the heads that it is conditioned on, decoded with or depends on. Corpora and docs without its gold
    are left out of its training.

    --budget steps: as many steps for each system (default); words: as many words; passes: as many passes over its own
    training docs.

    OUTPUT gets report.html, report.json and a folder for each run. If OUTPUT is there from an earlier start, finished
    runs of the same config, data, seed and versions are not repeated. Ctrl-C ends the runs that are going on, and keeps
    the others.

    Values of the config can be overridden, as in spacy train: --paths.train train.spacy

    The exit code is 0 if all runs have finished, 1 if nothing was trained or a run has failed, 130 after ctrl-C.

    \b
    Examples (each after: python -m spacy mtl compare):
      config.cfg --output report --paths.train train.spacy --paths.dev dev.spacy --test test.spacy
      config.cfg --output report --seeds 5 --jobs 4 --leave-one-out
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
        try:
            setup_gpu(use_gpu, silent=True)
            settings = Settings(seeds, budget, pairs, leave_one_out, detach, test, code)
            result = compare(config, output, settings, Running(engine, jobs, use_gpu, cost), name=config_path.name)
        except (ValueError, OSError) as error:
            msg.fail("Nothing was compared", str(error), exits=1)
        except KeyboardInterrupt:
            msg.warn("Stopped", f"Finished runs are kept in {output}; the same command goes on with the others")
            raise typer.Exit(130) from None
    print_comparison(result)
    msg.good("Wrote the result", str(output / REPORT))
    write_page(data_of_comparison(output), output / PAGE)
    msg.good("Wrote the report; open it in a browser", str(output / PAGE))
    if result.failures:
        raise typer.Exit(1)


def print_comparison(result: Comparison) -> None:
    """Print a table for each system, on test if there is one, and the failures."""
    split = "test" if any(one.split == "test" for one in result.differences) else "dev"
    shown = [one for one in result.differences if one.split == split]
    for system in dict.fromkeys(one.system for one in shown):
        msg.divider(f"{system} against each head alone, on {split}")
        rows = [row_of(one) for one in shown if one.system == system]
        msg.table(rows, header=HEADER, divider=True, aligns=("l", "l", "r", "r", "r", "r", "l"))
    for one in shown:
        if one.reason:
            msg.info(f"{one.system}, {one.head}: {one.reason}")
    improvement = result.relative_improvement.get(split)
    if improvement is not None and improvement.value is not None:
        msg.text(f"Relative improvement over the heads: {signed(improvement.value)} {interval(improvement)} per cent")
    for cost in result.costs:
        if cost.system in ("joint", "single"):
            msg.text(describe_cost(cost))
    for failure in result.failures:
        msg.fail(f"{failure.run} failed; the end of its log:")
        print(failure.message)


def row_of(one: Difference) -> tuple[str, ...]:
    """A line of the table, in per cent."""
    metric = one.metric.removeprefix(f"{one.head}_")
    means = [mean_of(scores) for scores in (one.scores, one.baseline_scores)]
    return (one.head, metric, *means, signed(one.difference), interval(one), one.verdict)


def mean_of(scores: Sequence[float | None]) -> str:
    """The mean over the seeds that have a score."""
    known = [score for score in scores if score is not None]
    return f"{100 * sum(known) / len(known):.2f}" if known else "-"


def signed(share: float | None) -> str:
    """A difference, with its sign."""
    return "-" if share is None else f"{100 * share:+.2f}"


def interval(one: Difference | Interval) -> str:
    """The bounds of an interval."""
    return "" if one.low is None else f"{signed(one.low)} to {signed(one.high)}"


def describe_cost(cost: Cost) -> str:
    """The cost of the joint pipeline, or of all single ones, in a line."""
    name = "one joint pipeline" if cost.system == "joint" else "single pipelines, all of them"
    parts = [f"{cost.parameters:,} weights", f"{(cost.bytes or 0) / 2**20:.1f} MiB on disk"]
    parts.append(f"{cost.train_seconds or 0:.0f} s of training")
    if cost.words_per_second:
        parts.append(f"{cost.words_per_second:,.0f} words/s")
    if cost.memory_bytes:
        parts.append(f"{cost.memory_bytes / 2**20:.0f} MiB of memory")
    return f"{name}: {', '.join(parts)}"
