"""How long each system of a comparison is trained.

Three units are possible. The number of steps is the default.

steps   Every system takes as many steps as the config says, with batches of the same size, the same schedule and the
        same number of evaluations. Training a head alone thus costs as much as training all of them together, and it
        sees its own docs at least as often. That is the strongest baseline: what joint training gains, it gains from
        sharing. It is also what people do who train a model for each task with one recipe.
words   Every system sees as many words. It is the same as steps where batches have a fixed number of words
        (`spacy.batch_by_words.v1`), and fairer where they have a number of docs and corpora differ in length.
passes  Every system passes over its own training docs as often. Heads with little data then get a short training, as
        they do in joint training, and all single trainings together cost about as much as the joint one. A gain of
        joint training can then come from its longer training.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from itertools import islice
from typing import Any

from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.util import load_model_from_config, registry, resolve_dot_names
from thinc.api import Config

# Settings that count steps, beside those of schedules whose names end in "_steps".
STEP_SETTINGS = ("eval_frequency", "patience", "unfreeze_at")
# Docs from which the size of a batch is estimated.
N_SAMPLE = 5000


class Budget(str, Enum):
    """The values of `--budget`."""

    steps = "steps"
    words = "words"
    passes = "passes"


def steps_of(config: Config) -> int:
    """The number of steps that the training takes at most.

    RAISES ValueError: It has neither `max_steps` nor `max_epochs`.
    """
    training = config["training"]
    steps, epochs = int(training["max_steps"] or 0), int(training["max_epochs"] or 0)
    if epochs > 0:
        passes = round(epochs * measure_pass(config).batches)
        return min(steps, passes) if steps else passes
    if not steps:
        raise ValueError(
            "training.max_steps and training.max_epochs are 0, so the systems have no common length; set "
            "training.max_steps"
        )
    return steps


def steps_for(unit: Budget, whole: Config, steps: int, part: Config) -> int:
    """The steps of a derived config under the budget of the whole one.

    steps (int): What the whole config takes.
    """
    if unit is Budget.steps:
        return steps
    joint, own = measure_pass(whole), measure_pass(part)
    if unit is Budget.words:
        return max(1, round(steps * joint.words_per_batch / own.words_per_batch))
    return max(1, round(steps * own.batches / joint.batches))


class Pass:
    """A pass over a training corpus.

    batches (float): Number of batches. words_per_batch (float): Mean number of words in one.
    """

    def __init__(self, batches: float, words: float) -> None:
        self.batches = batches
        self.words_per_batch = words / batches


def measure_pass(config: Config) -> Pass:
    """Read the training corpus and batch it. Of long corpora the first docs tell the size of a batch."""
    nlp = load_model_from_config(config, auto_fill=True)
    settings = nlp.config.interpolate()
    (corpus,) = resolve_dot_names(settings, [settings["training"]["train_corpus"]])
    batcher = registry.resolve(settings["training"], schema=ConfigSchemaTraining)["batcher"]
    return batch_all(unsampled(corpus)(nlp), batcher)


def unsampled(corpus: Any) -> Any:
    """The reader, without the sampler that mixes the corpora: each doc once."""
    sources = getattr(corpus, "sources", None)
    if not isinstance(sources, Mapping):
        return corpus
    return lambda nlp: (eg for source in sources.values() for eg in source(nlp))


def batch_all(examples: Iterable[Example], batcher: Callable[[Iterable[Example]], Iterable[Any]]) -> Pass:
    """Batch a sample and extrapolate to all words."""
    rest = iter(examples)
    sample = list(islice(rest, N_SAMPLE))
    batches = [list(batch) for batch in batcher(sample)]
    words = sum(len(eg) for batch in batches for eg in batch)
    more = sum(len(eg) for eg in rest)
    return Pass(len(batches) * (1 + more / words), words + more)


def with_steps(config: Config, steps: int) -> Config:
    """A copy that is trained for so many steps. What counts steps changes in proportion."""
    changed = config.copy()
    training = changed["training"]
    before = int(training["max_steps"] or 0)
    training["max_steps"] = steps
    if training["max_epochs"] > 0:
        training["max_epochs"] = 0
    if before and before != steps:
        scale_steps(training, steps / before)
        for pipe in changed["components"].values():
            scale_steps(pipe, steps / before)
    return changed


def scale_steps(section: dict[str, Any], factor: float) -> None:
    """Multiply all settings that count steps, at any depth."""
    for key, value in section.items():
        if isinstance(value, dict):
            scale_steps(value, factor)
        elif (key in STEP_SETTINGS or key.endswith("_steps")) and key != "max_steps" and isinstance(value, int):
            section[key] = max(1, round(value * factor)) if value else value
