"""What a reader can see of the training that it reads for."""

import sys
from collections.abc import Mapping
from types import CodeType, FrameType
from typing import Any

from spacy.language import Language

from ..protocols.sampler import Scored
from .source import Source

READER = "spacy_mtl.MultiCorpus.v1"


def is_being_initialized(nlp: Language) -> bool:
    """Whether spaCy reads examples to set up the pipeline.

    A pipeline that is not initialised has no optimizer. But a pipeline with a sourced pipe gets its optimizer first
    (`resume_training`), and the state of its pipes does not tell either: the pipes that are initialised last find the
    others ready. So this asks whether `Language.initialize` is running.
    """
    return trains_with_multi_corpus(nlp) and (nlp._optimizer is None or is_running(Language.initialize.__code__))


def is_running(code: CodeType) -> bool:
    """Whether a call of a function with this code has led to here."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def trains_with_multi_corpus(nlp: Language) -> bool:
    """Whether the config trains with this reader, so that its number of epochs counts here."""
    section: Any = nlp.config
    for key in str(nlp.config["training"].get("train_corpus") or "").split("."):
        section = section.get(key) if isinstance(section, Mapping) else None
    return isinstance(section, Mapping) and section.get("@readers") == READER


def repeats_one_pass(nlp: Language) -> bool:
    """Whether spaCy will list one pass and repeat it in each epoch."""
    return trains_with_multi_corpus(nlp) and max_epochs(nlp) >= 0


def max_epochs(nlp: Language) -> int:
    """Return the setting `training.max_epochs`; -1 for a stream."""
    return int(nlp.config["training"].get("max_epochs") or 0)


def scores_of(nlp: Language, sources: Mapping[str, Source]) -> dict[str, dict[str, float]]:
    """Return, by corpus and head, the main score at the last evaluation: on the corpus's own dev docs, or on all dev
    docs if it has none.
    """
    scores: dict[str, dict[str, float]] = {name: {} for name in sources}
    for _, pipe in nlp.pipeline:
        if not isinstance(pipe, Scored):
            continue
        everywhere = {key: value for key, value in pipe.main_scores.items() if value is not None}
        for name, source in sources.items():
            own = pipe.corpus_scores.get(name) or everywhere
            scores[name].update({key: own[key] for key in own if source.heads is None or key in source.heads})
    return scores
