"""`python -m spacy mtl calibrate`: probabilities that can be believed, and prediction sets."""

from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg

from ..calibration.calibrate import Calibrated, calibrate
from ..calibration.calibration_settings import CalibrationSettings
from ..calibration.calibration_table import (
    HEADER,
    RISK_HEADER,
    SETS_HEADER,
    measure_rows,
    risk_rows,
    set_rows,
)
from ..calibration.gold_scores import read_examples
from ..pipeline.extraction import find_with_heads
from ..whole_folder import check_writable, write_whole


def calibrate_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    data: Annotated[Path, typer.Argument(help=".spacy file with gold that it was not trained on", exists=True)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Output folder, new or empty", file_okay=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write to the folder of the pipeline itself")] = False,
    held_out: Annotated[
        Path | None, typer.Option("--held-out", help=".spacy file for measures and sets, instead of a half of DATA")
    ] = None,
    coverage: Annotated[
        float | None, typer.Option("--coverage", help="Share of docs whose truth is in their prediction set, as 0.9")
    ] = None,
    sets: Annotated[
        str, typer.Option("--sets", help="lac: smallest sets on average; aps: larger where the head is uncertain")
    ] = "lac",
    most: Annotated[int, typer.Option("--max-outcomes", help="Maximum number of outcomes in a set")] = 32,
    share: Annotated[float, typer.Option("--share", help="Share of DATA for the temperatures")] = 0.5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split of DATA")] = 0,
    scores: Annotated[
        bool | None, typer.Option("--scores/--no-scores", help="Keep ent._.score and token._.scores on docs")
    ] = None,
    sets_on_docs: Annotated[
        bool | None, typer.Option("--sets-on-docs/--no-sets-on-docs", help="Compute doc._.mtl_sets for each doc")
    ] = None,
    risk: Annotated[
        float, typer.Option("--risk", help="Share of wrong docs to allow in the threshold for labels that is saved")
    ] = 0.05,
    component: Annotated[
        str | None, typer.Option("--component", help="Component of the heads, if several have heads")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace a pipeline in the output folder")] = False,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Calibrate the probabilities of a trained pipeline, and give sets that contain the truth with a probability.

    Each head gets a temperature, fitted on one half of DATA. It changes probabilities, never what is predicted. The
    tables compare probabilities with what is right on the other half, before and after. ECE is the mean difference
    between the two.

    With --coverage, doc._.mtl_sets holds for each head the classes, or the entities of the whole doc, that are likely
    enough: for so large a share of docs like those of DATA, the truth is among them. Docs whose set is not exactly the
    annotation should go to a person.

    --risk sets the share of wrong docs that the saved threshold for labels allows; "mtl distil --threshold calibrated"
    and "mtl co-train --thresholds-of MODEL" use it. --no-sets-on-docs saves the time that sets take: programs and
    "mtl serve" can still ask for them.

    Training the pipeline on removes the calibration.

    \b
    Examples (each after: python -m spacy mtl calibrate):
      training/model-best dev.spacy --output calibrated
      training/model-best dev.spacy --overwrite --coverage 0.9 --scores
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    try:
        folder = output_folder(model, output, overwrite=overwrite, force=force)
        settings = CalibrationSettings(coverage, sets, most, share, seed, risk)
        nlp: Any = load_model(model)
        name = find_with_heads(nlp, component)
        others = None if held_out is None else read_examples(nlp, held_out)
        found = calibrate(nlp, name, read_examples(nlp, data), settings, held_out=others)
        if scores is not None:
            nlp.get_pipe(name).keep_scores = scores
        if sets_on_docs is not None:
            nlp.get_pipe(name).keep_sets = sets_on_docs
        write_whole(nlp, folder)
    except (ValueError, OSError) as error:
        msg.fail("Nothing was calibrated", str(error), exits=1)
    print_result(found)
    msg.good("Saved", str(folder))


def output_folder(model: str, output: Path | None, *, overwrite: bool, force: bool) -> Path:
    """Choose the folder to write to. Raises a ValueError if it is not clear, or something would be lost."""
    if (output is None) != overwrite:
        raise ValueError("say where to write the calibrated pipeline: either --output FOLDER, or --overwrite")
    if output is not None:
        check_writable(output, replace=force)
        return output
    if not Path(model).is_dir():
        raise ValueError(f"--overwrite needs the folder of a pipeline, and {model!r} is none; use --output FOLDER")
    return Path(model)


def print_result(found: Calibrated) -> None:
    """Print what was measured."""
    msg.table(measure_rows(found), header=HEADER, divider=True, max_col=80)
    if any(one.rule is not None for one in found.heads.values()):
        msg.table(set_rows(found), header=SETS_HEADER, divider=True, max_col=80)
    if risk_rows(found):
        msg.table(risk_rows(found), header=RISK_HEADER, divider=True, max_col=80)
    for head, reason in found.skipped.items():
        msg.warn(f"Skipped head {head!r}: {reason}")
    for head, one in found.heads.items():
        for note in one.notes:
            msg.info(f"Head {head!r}: {note}")
