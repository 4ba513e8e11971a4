"""What a reader can see of the training that it reads for."""

from collections.abc import Mapping
from typing import Any

from spacy.language import Language

from ..types import Scored
from .source import Source

READER = "spacy_mtl.MultiCorpus.v1"


def is_being_initialized(nlp: Language) -> bool:
    """Whether spaCy reads examples to set up the pipeline: it has no optimizer before."""
    return nlp._optimizer is None and trains_with_multi_corpus(nlp)


def trains_with_multi_corpus(nlp: Language) -> bool:
    """Whether the config trains with this reader, so that what it says of epochs is meant."""
    section: Any = nlp.config
    for key in str(nlp.config["training"].get("train_corpus") or "").split("."):
        section = section.get(key) if isinstance(section, Mapping) else None
    return isinstance(section, Mapping) and section.get("@readers") == READER


def repeats_one_pass(nlp: Language) -> bool:
    """Whether spaCy will list one pass and repeat it in each epoch."""
    return trains_with_multi_corpus(nlp) and max_epochs(nlp) >= 0


def max_epochs(nlp: Language) -> int:
    """The setting; -1 for a stream."""
    return int(nlp.config["training"].get("max_epochs") or 0)


def scores_of(nlp: Language, sources: Mapping[str, Source]) -> dict[str, dict[str, float]]:
    """Corpus -> head -> main score at the last evaluation: on its own dev docs, or on all if it has none."""
    scores: dict[str, dict[str, float]] = {name: {} for name in sources}
    for _, pipe in nlp.pipeline:
        if not isinstance(pipe, Scored):
            continue
        everywhere = {key: value for key, value in pipe.main_scores.items() if value is not None}
        for name, source in sources.items():
            own = pipe.corpus_scores.get(name) or everywhere
            scores[name].update({key: own[key] for key in own if source.heads is None or key in source.heads})
    return scores
