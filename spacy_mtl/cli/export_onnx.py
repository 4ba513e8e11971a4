"""`python -m spacy mtl export-onnx`: a trained pipeline whose encoder runs in onnxruntime."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg


def export_onnx_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    output: Annotated[Path, typer.Argument(help="Folder for the exported pipeline; new or empty", file_okay=False)],
) -> None:
    """Export a trained pipeline to ONNX.

    OUTPUT is a pipeline for spacy.load that gives the same annotations. Its encoder, a HashEmbedCNN of spacy_mtl or of
    spaCy, becomes spacy_mtl.OnnxEncoder.v1: graphs that onnxruntime runs, as fast as with torch, without torch.
    It can only predict; to go on training, train MODEL and export again.

    Needs onnx and onnxruntime: pip install 'spacy-mtl[onnx]'. OUTPUT needs only onnxruntime.

    \b
    Example:
      python -m spacy mtl export-onnx training/model-best exported
    """
    try:
        from ..onnx.export import export_pipeline

        sizes = export_pipeline(model, output)
    except (ImportError, ValueError, OSError) as error:
        msg.fail("Nothing was exported", str(error), exits=1)
    msg.table([(name, f"{size / 2**20:.1f} MB") for name, size in sizes.items()], header=("graphs of", "size"))
    msg.good("Exported", str(output))
