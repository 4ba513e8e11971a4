"""Checks of a distillation before any teacher runs, and what it will read."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_model_from_config, registry, resolve_dot_names
from thinc.api import Config

from ..experiments.corpus_sections import reader_section
from ..experiments.gold_counts import count_corpora
from ..experiments.learner import dev_reader, find_component
from ..experiments.seeding import seed_of
from ..pipeline.multitask import Multitask
from ..protocols.head_labels import HasLabels
from ..readers.multi_corpus import MultiCorpus
from ..readers.unlabelled_corpus import UnlabelledCorpus
from .augmented_texts import AugmentedTexts
from .distil_settings import DistilSettings
from .teacher_pass import DocsT, Texts

AUGMENTERS = "augmenter"


@dataclass
class DistilPlan:
    """A run that was checked.

    config (Config): The student's filled config, not interpolated.
    nlp (Language): The student's pipeline, not trained. Its heads have the labels of the gold.
    pipe (Multitask): The component.
    settings (DistilSettings): The options.
    fixed (Mapping[str, list[str]]): The labels that the config sets, by head.
    texts (list[Texts]): The gold, the raw texts and those that are made from the gold, of those there are.
    seed (int): The seed of the training.
    """

    config: Config
    nlp: Language
    pipe: Multitask
    settings: DistilSettings
    fixed: Mapping[str, list[str]]
    texts: list[Texts]
    seed: int


def make_plan(config: Config, settings: DistilSettings) -> DistilPlan:
    """Check the run. Raises a ValueError that names what is wrong: settings, heads, files."""
    nlp = load_model_from_config(config if settings.gold else without_gold(config), auto_fill=True)
    pipe = find_component(nlp)
    unknown = [name.head for name in settings.teachers if name.head not in pipe.heads]
    if unknown:
        raise ValueError(f"--teacher: the student has no head {unknown[0]!r}; its heads are {list(pipe.heads)}")
    seed = seed_of(nlp.config)
    if settings.anneal and settings.gold and settings.labels == "soft" and not nlp.config["training"]["max_steps"]:
        raise ValueError(
            "training.max_steps is 0, so the end of the training is not known; set it, or leave the share of the gold "
            "as it is (--no-anneal)"
        )
    if next(iter(dev_reader(nlp)(nlp)), None) is None:
        raise ValueError(f"{nlp.config['training']['dev_corpus']}: it gives no docs; the student is scored on them")
    fixed = fixed_labels(nlp.config, pipe.name)
    plan = DistilPlan(nlp.config, nlp, pipe, settings, fixed, [], seed)
    for head, labels in fixed.items():
        for label in labels if isinstance(pipe.heads[head], HasLabels) else ():
            pipe.heads[head].add_label(label)  # type: ignore[attr-defined]
    if settings.gold:
        reader = train_reader(nlp.config)
        count_corpora(
            reader, nlp, {key: one for key, one in pipe.heads.items() if key not in fixed}, name="train", collect=True
        )
        plan.texts.append(Texts.of("gold", partial(predicted_docs, reader, nlp)))
    if settings.texts:
        plan.texts.append(Texts.of("raw", partial(raw_docs, plan)))
    if settings.augmented:
        plan.texts.append(Texts.of("augmented", augmented_reader(plan)))
    empty = [texts.name for texts in plan.texts if not texts.n_docs]
    if empty:
        raise ValueError(f"the {empty[0]} texts are empty")
    return plan


def without_gold(config: Config) -> Config:
    """A copy in which dev stands in the place of the training corpus, which may have no path: spaCy makes the readers
    of all corpora, also of one that nothing reads.
    """
    changed = config.copy()
    corpus, dev = (str(changed["training"][name]) for name in ("train_corpus", "dev_corpus"))
    name = corpus.removeprefix("corpora.")
    if name in changed["corpora"] and corpus != dev:
        changed["corpora"][name] = reader_section(changed, "dev_corpus")
    return changed


def fixed_labels(config: Config, component: str) -> dict[str, list[str]]:
    """The labels that the config sets for heads, by head."""
    section = config.interpolate()["initialize"].get("components", {}).get(component, {}).get("labels")
    found: Any = registry.resolve({"labels": section})["labels"] if section else {}
    return {head: list(labels) for head, labels in found.items()}


def train_reader(config: Config) -> Any:
    """The reader of the training corpus, without augmenters: these would give other docs each time."""
    plain = Config(without_augmenters(config.interpolate()))
    (reader,) = resolve_dot_names(plain, [plain["training"]["train_corpus"]])
    return reader


def without_augmenters(section: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which every setting `augmenter` is null."""
    return {
        key: None if key == AUGMENTERS else without_augmenters(value) if isinstance(value, Mapping) else deepcopy(value)
        for key, value in section.items()
    }


def examples_of(reader: Any, nlp: Language) -> Iterator[Example]:
    """All examples of a reader, each once."""
    if isinstance(reader, MultiCorpus):
        for source in reader.sources.values():
            yield from source(nlp)
    else:
        yield from reader(nlp)


def predicted_docs(reader: Any, nlp: Language) -> Iterator[Doc]:
    """The docs to predict of all examples."""
    return (eg.predicted for eg in examples_of(reader, nlp))


def raw_docs(plan: DistilPlan) -> Iterator[Doc]:
    """The raw texts."""
    return (eg.predicted for path in plan.settings.texts for eg in UnlabelledCorpus(path)(plan.nlp))


def augmented_reader(plan: DistilPlan) -> DocsT:
    """What makes texts from the gold."""
    gold = [eg.reference for eg in examples_of(train_reader(plan.config), plan.nlp)]
    made = AugmentedTexts(gold, seed=0)
    return partial(made.make, plan.settings.augmented, plan.nlp.vocab)


def dev_examples(plan: DistilPlan) -> list[Example]:
    """The examples that the student is scored on."""
    return list(dev_reader(plan.nlp)(plan.nlp))


def dev_section(plan: DistilPlan) -> dict[str, Any]:
    """The section of the reader of dev."""
    return reader_section(plan.config, "dev_corpus")
