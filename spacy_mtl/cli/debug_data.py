"""`python -m spacy mtl debug-data`: what each head really sees of each corpus."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from spacy.cli._util import import_code, parse_config_overrides, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..debug_data.as_json import as_json
from ..debug_data.audit import Audit, Finding
from ..debug_data.counts import length_row
from ..debug_data.read_splits import audit

PRINT: dict[str, Any] = {"error": msg.fail, "warning": msg.warn, "hint": msg.info}
ALLOW_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}


def debug_data_cli(
    ctx: typer.Context,
    config_path: Annotated[Path, typer.Argument(help="Path to training config", exists=True, dir_okay=False)],
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Path to Python file with functions to register")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print numbers and findings as JSON, and nothing else")] = False,
    labels: Annotated[
        bool, typer.Option("--labels", "-l", help="Print a table of all labels of each head too")
    ] = False,
) -> None:
    """Show what each head finds in each corpus, and what would go wrong in training.

    CONFIG_PATH is a training config with a component "multitask". All splits of [corpora] are read in full,
    without sampling. For each head and corpus the command counts docs with gold and annotated units (docs for a
    classifier, tokens for other heads).

    Findings come last, the most harmful first:

    \b
    error    Training would stop, or a head would learn nothing: no gold, docs with two exclusive classes.
    warning  Training or scores would be wrong: gold that the reader loses, a corpus without labels that other
             corpora of the head have, labels without an example in train, test texts in train.
    hint     Worth a look: labels with fewer than 5 examples, docs that no head has gold in.

    Override config values as in "spacy train": --paths.train train.spacy

    The exit code is 1 if there is an error, else 0.

    \b
    Examples (each after: python -m spacy mtl debug-data):
      configs/multi_corpus.cfg
      configs/cpu.cfg --paths.train train.spacy --paths.dev dev.spacy --json > report.json
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
        try:
            result = audit(config)
        except ValueError as error:
            if json:
                print(srsly.json_dumps({"findings": [asdict(Finding("error", str(error)))]}, indent=2))
                raise typer.Exit(1) from None
            msg.fail("The data was not read", str(error), exits=1)
    if json:
        print(srsly.json_dumps(as_json(result), indent=2))
    else:
        _print_tables(result, labels=labels)
    if result.of_level("error"):
        raise typer.Exit(1)


def _print_tables(result: Audit, *, labels: bool) -> None:
    msg.divider("Corpora")
    _print_corpora(result)
    msg.divider("What the heads see")
    _print_heads(result)
    if labels:
        for head in result.heads:
            msg.divider(f"Labels of {head}")
            _print_labels(result, head)
    msg.divider("Findings")
    for finding in result.findings:
        PRINT[finding.level](f"{finding.level}: {finding.text}")
    if not result.findings:
        msg.good("No problems found")


def _print_corpora(result: Audit) -> None:
    names = ("min", "median", "mean", "p95", "max")
    rows = []
    for part in result.parts:
        lengths = length_row(part)
        numbers = [f"{lengths[name]:.{name == 'mean':d}f}" for name in names]
        others = (part.unused, result.shared_texts(part), part.misaligned)
        rows.append((part.split, part.corpus, len(part.lengths), int(lengths["total"]), *numbers, *others))
    header = ("split", "corpus", "docs", "tokens", *names, "unused", "in train", "misaligned")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", *["r"] * 10))


def _print_heads(result: Audit) -> None:
    rows = [
        (head, part.split, part.corpus, counts.docs, counts.units, sum(number > 0 for number in counts.labels.values()))
        for head in result.heads
        for part in result.parts
        if (counts := part.heads.get(head)) is not None
    ]
    header = ("head", "split", "corpus", "annotated docs", "annotated units", "labels")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", "l", "r", "r", "r"))


def _print_labels(result: Audit, head: str) -> None:
    train, others = result.labels(head, train=True), result.labels(head, train=False)
    rows = [(label, train[label], others[label]) for label in sorted(train | others)]
    msg.table(rows, header=("label", result.train, "other splits"), divider=True, aligns=("l", "r", "r"))
