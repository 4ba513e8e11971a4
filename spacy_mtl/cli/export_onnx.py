"""`python -m spacy mtl export-onnx`: a trained pipeline whose encoder runs in onnxruntime."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg


def export_onnx_cli(
    model: Annotated[str, typer.Argument(help="Model name or path")],
    output: Annotated[Path, typer.Argument(help="Output folder, new or empty", file_okay=False)],
) -> None:
    """Export a trained pipeline to ONNX.

    OUTPUT is a pipeline for spacy.load with the same predictions. The encoder (HashEmbedCNN of spacy_mtl or spaCy) is
    replaced by spacy_mtl.OnnxEncoder.v1, whose graphs onnxruntime runs as fast as torch would, without torch. The
    exported pipeline cannot be trained: to continue training, train MODEL and export it again.

    The command needs onnx and onnxruntime (pip install 'spacy-mtl[onnx]'), the exported pipeline only onnxruntime.

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
