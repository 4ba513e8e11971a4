"""`python -m spacy mtl co-train`: two learners label raw text for the next two."""

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..cotraining.report import LABEL_HEADER, Report, Round, label_rows, percent, score_header, score_rows
from ..cotraining.rounds import co_train
from ..cotraining.settings import Settings


class Agreement(str, Enum):
    """The values of `--agreement`."""

    seeds = "seeds"
    views = "views"


def co_train_cli(
    ctx: typer.Context,
    config_path: Annotated[Path, typer.Argument(help="Training config", exists=True, dir_okay=False)],
    raw: Annotated[Path, typer.Argument(help="Raw text: .txt, .jsonl, .spacy, or a folder of these")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything; new or empty")],
    rounds: Annotated[int, typer.Option("--rounds", "-r", help="At most so many, after the training on gold")] = 3,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", "-t", help="How sure both must be, above 0 to 1; HEAD=N for one head [default: 0.95]"
        ),
    ] = None,
    agreement: Annotated[
        Agreement, typer.Option("--agreement", "-a", help="What the learners differ in")
    ] = Agreement.seeds,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="With --agreement views: KEY=VALUE in the second learner's config; repeatable"),
    ] = None,
    patience: Annotated[
        int, typer.Option("--patience", "-p", help="Stop after so many rounds that are not above the best dev score")
    ] = 1,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the config registers")
    ] = None,
    use_gpu: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID, or -1 for CPU")] = -1,
) -> None:
    """Learn from raw text too, where there is little gold.

    Round 0 trains two learners on the gold of CONFIG. In each round both annotate RAW; what a head of both predicts
    alike, and what both are sure of (--threshold), becomes a label. Two new learners are then trained from the
    beginning on all of the gold and on these labels. A head without a label on a text learns nothing from the text.

    The learners differ in their seed, or with --agreement views in what the second one sees of the text: by default
    words with or without subword features, else what --view sets.

    It ends after --rounds, when the dev score is not above the best, or when there are no new labels. OUTPUT/model-best
    is the best learner of the best round; OUTPUT/report.md has the numbers of all rounds, report.json the same for
    machines, OUTPUT/round-N/pseudo.spacy the labels.

    How sure a head is: the probability of the whole doc's class or entities; the least certain token for tags.
    Values of the config can be overridden, as in spacy train: --paths.train train.spacy

    \b
    Examples (each after: python -m spacy mtl co-train):
      config.cfg raw.txt --output training
      config.cfg raw.jsonl -o training -t 0.9 -t slots=0.8 --training.max_steps 2000
      config.cfg raw/ -o training -a views --view components.tok2vec.model.window_size=2
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
        try:
            settings = make_settings(rounds, threshold or [], agreement.value, view or [], patience)
            setup_gpu(use_gpu, silent=True)
            report = co_train(config, raw, output, settings, use_gpu=use_gpu, stdout=sys.stdout, on_round=print_round)
        except (ValueError, OSError) as error:
            msg.fail("Co-training stopped", str(error), exits=1)
    best = report.best_round
    msg.info(f"Stopped: {report.stopped}")
    msg.good(f"Round {best.number}, dev score {percent(best.best.score)}", str(output / "model-best"))


def make_settings(
    rounds: int, thresholds: Sequence[str], agreement: Any, view: Sequence[str], patience: int
) -> Settings:
    """Read what the options say. Raises a ValueError for what can't be read."""
    common, own = parse_thresholds(thresholds)
    return Settings(rounds, common, own, agreement, parse_view(view), patience)


def parse_thresholds(options: Sequence[str]) -> tuple[float, dict[str, float]]:
    """RETURNS: the threshold for all heads, and those of single heads."""
    common, own = Settings.threshold, dict[str, float]()
    for option in options:
        head, _, number = option.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"--threshold {option}: {number!r} is no number; give N or HEAD=N") from None
        if head:
            own[head] = value
        else:
            common = value
    return common, own


def parse_view(options: Sequence[str]) -> dict[str, Any]:
    """The settings by their place; values as in spaCy's overrides."""
    view: dict[str, Any] = {}
    for option in options:
        place, equals, value = option.partition("=")
        if not equals or "." not in place:
            raise ValueError(f"--view {option}: expected KEY=VALUE, such as components.tok2vec.model.width=64")
        view.update(parse_config_overrides([f"--{place}", value], env_var=None))
    return view


def print_round(one: Round, report: Report) -> None:
    """The tables of a round."""
    msg.divider(f"Round {one.number}")
    if one.number:
        msg.info(f"{one.texts} of {report.n_raw} texts got a label")
        msg.table(label_rows(one, report.silent), header=LABEL_HEADER, divider=True, aligns=("l", *["r"] * 5))
    if one.learners:
        header = score_header(one)
        msg.table(score_rows(one), header=header, divider=True, aligns=("l", *["r"] * (len(header) - 1)))
