"""One of the two pipelines that teach each other: its training and its scores on dev."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.loop import create_evaluation_callback
from spacy.util import load_model, registry, resolve_dot_names
from thinc.api import Config

from ..pipeline.multitask import Multitask
from .train_pipeline import train_pipeline

ReaderT = Callable[[Language], Iterable[Example]]


@dataclass
class Learner:
    """A trained pipeline.

    name (str): Its name in reports. path (Path): Where it is saved. nlp (Language): The pipeline that was best on dev.
    score (float): Its dev score, weighted by `training.score_weights`.
    heads (dict[str, float | None]): Each head's main score on dev.
    """

    name: str
    path: Path
    nlp: Language
    score: float
    heads: dict[str, float | None]

    @property
    def pipe(self) -> Multitask:
        """Its component."""
        return find_component(self.nlp)


def train_learner(name: str, config: Config, path: Path, *, use_gpu: int, stdout: IO[str]) -> Learner:
    """Train from the beginning, keep what is best on dev, and score it.

    path (Path): Folder for spaCy's model-best and model-last.
    """
    best = train_pipeline(config, path, use_gpu=use_gpu, stdout=stdout)
    nlp = load_model(best)
    settings = nlp.config.interpolate()
    training: dict[str, Any] = registry.resolve(settings["training"], schema=ConfigSchemaTraining)
    evaluate = create_evaluation_callback(nlp, dev_reader(nlp), training["score_weights"])
    score, _ = evaluate()
    return Learner(name, best, nlp, float(score), dict(find_component(nlp).main_scores))


def dev_reader(nlp: Language) -> ReaderT:
    """The reader of the config's dev corpus."""
    settings = nlp.config.interpolate()
    (reader,) = resolve_dot_names(settings, [settings["training"]["dev_corpus"]])
    return reader


def find_component(nlp: Language) -> Multitask:
    """The pipeline's component. Raises a ValueError if there is none, or more than one."""
    pipes = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, Multitask)]
    if len(pipes) != 1:
        raise ValueError(f"the pipeline {nlp.pipe_names} has {len(pipes)} components multitask; exactly one is needed")
    return pipes[0]
