"""`python -m spacy mtl distil`: one small student from one or several trained pipelines."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..calibration.label_threshold import confidences_for
from ..distillation.distil import BEST, Carrying, distil
from ..distillation.distil_report import (
    TAUGHT_HEADER,
    DistilReport,
    score_header,
    score_rows,
    taught_rows,
)
from ..distillation.distil_settings import DistilSettings, TeacherName
from .co_train import parse_thresholds

# A value of `--threshold`.
CALIBRATED = "calibrated"


class Labels(str, Enum):
    """The values of `--labels`."""

    soft = "soft"
    hard = "hard"


def distil_cli(
    ctx: typer.Context,
    config_path: Annotated[Path, typer.Argument(help="Training config of the student", exists=True, dir_okay=False)],
    teachers: Annotated[
        list[str],
        typer.Option(
            "--teacher",
            "-t",
            help="HEAD=PATH: trained pipeline that teaches a head of the student; HEAD=PATH:NAME "
            "names the teacher's head or pipe; repeatable",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder", file_okay=False)],
    texts: Annotated[
        list[Path] | None,
        typer.Option("--texts", help="Raw text: .txt, .jsonl or .spacy, or a folder of these; repeatable"),
    ] = None,
    augmented: Annotated[int, typer.Option("--augmented", min=0, help="Number of texts to make from the gold")] = 0,
    labels: Annotated[
        Labels, typer.Option("--labels", help="Learn from the teachers' probabilities, or from their labels alone")
    ] = Labels.soft,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            help="Least confidence of a label; HEAD=N sets it for one head; calibrated takes what mtl calibrate has "
            "saved with the teachers; repeatable [default: 0]",
        ),
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="Temperature of the soft targets")] = 1.0,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of labels to keep for each token")] = 8,
    gold: Annotated[bool, typer.Option("--gold/--no-gold", help="Train on the gold of the config, too")] = True,
    gold_weight: Annotated[
        float, typer.Option("--gold-weight", help="Factor of the gold in the mix with raw docs")
    ] = 1.0,
    gold_share: Annotated[
        float, typer.Option("--gold-share", help="Share of the gold in the loss of gold docs at the first step")
    ] = 0.0,
    anneal: Annotated[
        bool, typer.Option("--anneal/--no-anneal", help="Raise that share to 1 until the end of the training")
    ] = True,
    baseline: Annotated[bool, typer.Option("--baseline", help="Also train the student on the gold alone")] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Number of trainings at once, each with a thread")
    ] = 1,
    engine: Annotated[str, typer.Option("--engine", help="Engine that carries out the trainings")] = "local",
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the configs register")
    ] = None,
    use_gpu: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID, or -1 for CPU")] = -1,
) -> None:
    """Distil one or several trained pipelines into one student.

    Each teacher annotates the gold texts of CONFIG_PATH, and the raw texts of --texts or --augmented. Any pipeline can
    teach: heads of a multitask component, textcat, ner, tagger, morphologizer and others, over any encoder.

    The student learns from the teachers' probabilities where they give any: classes, tags, and entities of a CRF. Other
    teachers, such as ner, give their labels. In docs with gold the loss moves from the teacher to the gold during the
    training, see --gold-share and --anneal. Augmented texts are gold texts with swapped entities, joined halves and
    dropped words.

    OUTPUT gets model-best, student.cfg, report.md, report.json and the teachers' answers. The same command goes on
    where an earlier one stopped: teachers do not answer twice, and a finished training is not repeated.

    Override config values as in "spacy train": --paths.train train.spacy

    \b
    Examples (each after: python -m spacy mtl distil):
      student.cfg --teacher intent=large --teacher slots=large --texts raw.txt --output out
      student.cfg --teacher intent=calibrated --texts raw.txt --labels hard --threshold calibrated --output out
      student.cfg --teacher topic=A:textcat --teacher slots=B:ner --augmented 20000 --output out
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    with show_validation_error(config_path):
        config = load_config(config_path, overrides=overrides, interpolate=False)
        try:
            setup_gpu(use_gpu, silent=True)
            given = [option for option in threshold or () if option != CALIBRATED]
            common, own = parse_thresholds(given)
            named = [TeacherName.parse(option) for option in teachers]
            if len(given) < len(threshold or ()):
                own = calibrated_thresholds([one for one in named if one.head not in own]) | own
            settings = DistilSettings(
                named,
                texts=texts or (),
                augmented=augmented,
                labels=labels.value,
                threshold=common if any("=" not in option for option in given) else 0.0,
                thresholds=own,
                temperature=temperature,
                top=top,
                gold=gold,
                gold_weight=gold_weight,
                gold_share=gold_share,
                anneal=anneal,
                baseline=baseline,
            )
            report = distil(config, output, settings, Carrying(jobs, use_gpu, code, engine, msg.info))
        except (ImportError, ValueError, OSError) as error:
            msg.fail("Nothing was distilled", str(error), exits=1)
        except KeyboardInterrupt:
            msg.warn("Stopped", f"What is finished is kept in {output}; the same command goes on")
            raise typer.Exit(130) from None
    print_report(report)
    msg.good("Saved the student", str(output / BEST))


def print_report(report: DistilReport) -> None:
    """Print what the teachers gave, and the scores."""
    if report.taught:
        msg.divider("Texts without gold")
        msg.table(taught_rows(report), header=TAUGHT_HEADER, divider=True, aligns=("l", "l", *["r"] * 5))
    msg.divider("Main scores on dev, in per cent")
    header = score_header(report)
    msg.table(score_rows(report), header=header, divider=True, aligns=("l", *["r"] * (len(header) - 1)))


def calibrated_thresholds(teachers: Sequence[TeacherName]) -> dict[str, float]:
    """Get the thresholds that are saved with the teachers, by the student's head. Raises a ValueError if one is not."""
    return {
        head: value
        for one in teachers
        for head, value in confidences_for(one.path, [(one.head, one.source or one.head)]).items()
    }
