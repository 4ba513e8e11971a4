"""Training a config from the beginning, in this process."""

from pathlib import Path
from typing import IO

from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from thinc.api import Config


def train_pipeline(config: Config, path: Path, *, use_gpu: int, stdout: IO[str]) -> Path:
    """Train as `spacy train` does.

    path (Path): Folder for spaCy's model-best and model-last.
    use_gpu (int): Number of the GPU, -1 for the CPU; it must have been set up.
    RETURNS (Path): The pipeline that is best on dev.
    """
    path.mkdir(parents=True, exist_ok=True)
    train(init_nlp(config, use_gpu=use_gpu), path, use_gpu=use_gpu, stdout=stdout)
    return path / "model-best"
