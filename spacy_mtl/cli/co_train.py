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
    config_path: Annotated[Path, typer.Argument(help="Path to training config", exists=True, dir_okay=False)],
    raw: Annotated[Path, typer.Argument(help="Path to raw text: .txt, .jsonl or .spacy, or a folder of these")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder, new or empty")],
    rounds: Annotated[
        int, typer.Option("--rounds", "-r", help="Maximum number of rounds after the initial training on gold")
    ] = 3,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            "-t",
            help="Confidence that both learners must reach, above 0 and at most 1; HEAD=N sets it for one head; "
            "repeatable [default: 0.95]",
        ),
    ] = None,
    thresholds_of: Annotated[
        str | None,
        typer.Option("--thresholds-of", help="Calibrated pipeline whose saved thresholds for labels the heads take"),
    ] = None,
    agreement: Annotated[
        Agreement,
        typer.Option("--agreement", "-a", help="Difference between the learners: random seed, or view of the text"),
    ] = Agreement.seeds,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="Config override KEY=VALUE for the second learner (--agreement views); repeatable"),
    ] = None,
    patience: Annotated[
        int, typer.Option("--patience", "-p", help="Number of rounds without a better dev score before stopping")
    ] = 1,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Path to Python file with functions to register")
    ] = None,
    use_gpu: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID or -1 for CPU")] = -1,
) -> None:
    """Train with raw text in addition to little gold, by co-training.

    Round 0 trains two learners on the gold of CONFIG_PATH. In each further round both annotate RAW. Where both predict
    the same for a head, and the confidence of both reaches --threshold, the prediction becomes a label. Two new
    learners are then trained from scratch on all of the gold and these labels. A head does not learn from texts
    without a label of its own.

    The learners differ in their random seed. With --agreement views they differ in what they see of the text: by
    default one has subword features and the other has none; --view sets something else.

    Training stops after --rounds, when --patience runs out, or when there are no new labels. The best learner of the
    best round is saved to OUTPUT/model-best, the numbers of all rounds to report.md and report.json, and the labels
    to round-N/pseudo.spacy.

    The confidence of a head is the probability of the doc's class or of all its entities together; for tags, that of
    the least certain token. --thresholds-of takes the thresholds that "mtl calibrate" has saved with a pipeline of the
    same heads, such as an earlier training on the gold; --threshold HEAD=N goes before.

    Override config values as in "spacy train": --paths.train train.spacy

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
            settings = make_settings(rounds, threshold or [], thresholds_of, agreement.value, view or [], patience)
            setup_gpu(use_gpu, silent=True)
            report = co_train(config, raw, output, settings, use_gpu=use_gpu, stdout=sys.stdout, on_round=print_round)
        except (ValueError, OSError) as error:
            msg.fail("Co-training stopped", str(error), exits=1)
    best = report.best_round
    msg.info(f"Stopped: {report.stopped}")
    msg.good(f"Round {best.number}, dev score {percent(best.best.score)}", str(output / "model-best"))


def make_settings(
    rounds: int, thresholds: Sequence[str], calibrated: str | None, agreement: Any, view: Sequence[str], patience: int
) -> Settings:
    """Parse the options. Raises a ValueError if one is malformed."""
    common, own = parse_thresholds(thresholds)
    return Settings(rounds, common, own, calibrated, agreement, parse_view(view), patience)


def parse_thresholds(options: Sequence[str]) -> tuple[float, dict[str, float]]:
    """RETURNS: the threshold for all heads, and those of single heads."""
    common, own = Settings.threshold, dict[str, float]()
    for option in options:
        head, _, number = option.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"--threshold {option}: {number!r} is not a number; give N or HEAD=N") from None
        if head:
            own[head] = value
        else:
            common = value
    return common, own


def parse_view(options: Sequence[str]) -> dict[str, Any]:
    """Settings by their path in the config, with values as in spaCy's overrides."""
    view: dict[str, Any] = {}
    for option in options:
        path, equals, value = option.partition("=")
        if not equals or "." not in path:
            raise ValueError(f"--view {option}: expected KEY=VALUE, such as components.tok2vec.model.width=64")
        view.update(parse_config_overrides([f"--{path}", value], env_var=None))
    return view


def print_round(one: Round, report: Report) -> None:
    """The tables of a round."""
    msg.divider(f"Round {one.number}")
    if one.number:
        msg.info(f"{one.texts} of {report.n_raw} texts got a label")
        msg.table(label_rows(one, report.unable), header=LABEL_HEADER, divider=True, aligns=("l", *["r"] * 5))
    if one.learners:
        header = score_header(one)
        msg.table(score_rows(one), header=header, divider=True, aligns=("l", *["r"] * (len(header) - 1)))
