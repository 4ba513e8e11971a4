"""Everything that can be wrong with a comparison, found before the first training; and its runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import load_model_from_config, registry, resolve_dot_names
from thinc.api import Config

from ..experiments.budget import Budget, steps_for, steps_of, with_steps
from ..experiments.corpus_sections import reader_section, section_at
from ..experiments.gold_counts import GoldCounts, count_corpora, docs_with_gold
from ..experiments.run import Run, judged_on
from ..experiments.seeding import seed_of, with_seed
from ..experiments.single_task import Whole, derive, judged_reader
from ..pipeline.multitask import Multitask
from ..pipeline.score_weights import values_in
from ..protocols.head import Head
from .systems import JOINT, System, alone, find_tasks, joint_system, leave_one_out, pairs

FACTORY = "multitask"
STATE = "spacy_mtl.TrainingState.v1"
TEST_READER = {"@readers": "spacy_mtl.Corpus.v1", "gold_tokens": True}


@dataclass(frozen=True)
class Settings:
    """seeds (int): Number of seeds of each system; the first is the config's.
    budget (Budget): What all systems have the same of.
    pairs, leave_one_out (bool): Also train each two tasks, and all but one.
    detach (bool): Cut heads off from those that they are conditioned on or decoded with, instead of keeping these.
    test (str | None): A `.spacy` file or folder, or the dotted name of a reader's section, such as "corpora.test".
    code (Path | None): Python file with functions that the config registers.
    """

    seeds: int = 3
    budget: Budget = Budget.steps
    pairs: bool = False
    leave_one_out: bool = False
    detach: bool = False
    test: str | None = None
    code: Path | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds}; it must be at least 1")


@dataclass(frozen=True)
class Plan:
    """What will be trained.

    whole (Whole): The given config with its first seed, and what each corpus has.
    lang (str): Language of the pipeline.
    test (Mapping[str, GoldCounts] | None): What each test corpus has.
    seeds (list[int]): The seeds. steps (int): The length of the joint training.
    systems (list[System]): What is trained, each with every seed; the joint system first.
    replaced (dict[str, str]): Tasks that need all other heads, each with why it is not trained alone.
    runs (list[Run]): The trainings, seed by seed.
    """

    whole: Whole
    lang: str
    test: Mapping[str, GoldCounts] | None
    seeds: list[int]
    steps: int
    systems: list[System]
    replaced: dict[str, str]
    runs: list[Run]


def make_plan(config: Config, settings: Settings) -> Plan:
    """Check the comparison and derive its configs.

    config (Config): A training config, not interpolated.
    RAISES ValueError: It cannot be compared: no component or several, one head, a missing or broken corpus, a head
        without gold, other components that are trained on the same encoder.
    """
    nlp = load_model_from_config(config, auto_fill=True)
    filled = with_sources(nlp.config, config)
    pipe = find_multitask(nlp, filled)
    check_others(nlp, pipe.name)
    check_state(filled)
    first = seed_of(filled)
    seeds = list(range(first, first + settings.seeds))
    whole_config = with_seed(filled, first).interpolate()
    readers = judged_readers(whole_config, settings.test)
    whole, test = survey(whole_config, nlp, pipe, readers)
    check_gold(whole, test)
    systems, replaced = find_systems(pipe.heads, settings)
    steps = steps_of(whole_config)
    lengths = {
        system.name: steps_for(settings.budget, whole_config, steps, derive_system(whole, system)) for system in systems
    }
    runs = [
        make_run(replace(whole, config=with_seed(filled, seed).interpolate()), system, seed, readers, lengths, settings)
        for seed in seeds
        for system in systems
    ]
    return Plan(whole, str(nlp.lang), test, seeds, steps, systems, replaced, runs)


def with_sources(filled: Config, config: Config) -> Config:
    """The filled config, with components taken from other pipelines as the given one has them: spaCy fills in the
    settings that such a component was made with, and a training of these would start from random weights.
    """
    result = filled.copy()
    for name, section in config.interpolate()["components"].items():
        if "source" in section and name in result["components"]:
            result["components"][name] = dict(section)
    return result


def find_multitask(nlp: Language, config: Config) -> Multitask:
    """The component. Raises a ValueError if there is none, if there are two, if it is taken from another pipeline or
    frozen, or if it has one task.
    """
    pipes = [pipe for _, pipe in nlp.components if isinstance(pipe, Multitask)]
    if len(pipes) != 1:
        raise ValueError(
            f"the pipeline {nlp.component_names} has {len(pipes)} components {FACTORY}; a comparison needs exactly one"
        )
    (pipe,) = pipes
    if "source" in config["components"][pipe.name]:
        raise ValueError(
            f"component {pipe.name!r} is sourced from another pipeline, so the config does not tell its heads; write "
            "them into the config"
        )
    if pipe.name in config["training"]["frozen_components"]:
        raise ValueError(
            f"component {pipe.name!r} is in training.frozen_components; take it out, so that it is trained"
        )
    tasks = find_tasks(pipe.heads)
    if len(tasks) < 2:
        raise ValueError(
            f"component {pipe.name!r} has the heads {list(pipe.heads)}, of which {list(tasks)} have a main score; a "
            "comparison of joint with single training needs at least two"
        )
    return pipe


def check_others(nlp: Language, name: str) -> None:
    """Raise a ValueError if other components are trained too: with a shared encoder no head would ever be alone."""
    frozen = nlp.config["training"]["frozen_components"]
    others = [
        key
        for key, pipe in nlp.components
        if key != name and key not in frozen and getattr(pipe, "is_trainable", False) and not is_encoder(pipe)
    ]
    if others:
        raise ValueError(
            f"the components {others} are trained beside {name!r}, so that no head would be trained alone; take them "
            f"out of the pipeline, put them into training.frozen_components, or make them heads of {name!r}"
        )


def check_state(config: Config) -> None:
    """Raise a ValueError if all runs would write the state of their training to one folder."""
    if any(name == STATE for name in values_in(config["training"].get("before_update"))):
        raise ValueError(
            "training.before_update saves the state of the training in a folder, which runs can't share; set "
            "training.before_update to null and training.optimizer.state too (finished runs are kept in any case)"
        )


def is_encoder(pipe: Any) -> bool:
    """Whether other components listen to this one."""
    return hasattr(pipe, "listener_map")


def judged_readers(config: Config, test: str | None) -> dict[str, dict[str, Any]]:
    """The sections of the readers of dev and test."""
    readers = {"dev": reader_section(config, "dev_corpus")}
    if test is not None and not Path(test).exists() and test.startswith("corpora."):
        readers["test"] = section_at(config, test, "--test")
    elif test is not None:
        if not Path(test).exists():
            raise ValueError(f"--test: {test} is neither a file or folder nor a section such as corpora.test")
        readers["test"] = TEST_READER | {"path": test}
    return readers


def survey(
    config: Config, nlp: Language, pipe: Multitask, readers: Mapping[str, dict[str, Any]]
) -> tuple[Whole, Mapping[str, GoldCounts] | None]:
    """Read all corpora once. RETURNS: the config with what train and dev have; the same of test."""
    for key, labels in given_labels(config, pipe.name).items():
        for label in labels:
            pipe.add_label(label, head=key)
    (train,) = resolve_dot_names(config, [config["training"]["train_corpus"]])
    made: dict[str, Any] = registry.resolve(dict(readers))
    counts = {"train": count_corpora(train, nlp, pipe.heads, name="train", collect=True)}
    for split, reader in made.items():
        counts[split] = count_corpora(reader, nlp, pipe.heads, name=split)
    return Whole(config, pipe.name, pipe.heads, counts["train"], counts["dev"]), counts.get("test")


def given_labels(config: Config, component: str) -> Mapping[str, Sequence[str]]:
    """The labels that the config gives to the heads, so that they do not look for them."""
    section = config["initialize"].get("components", {}).get(component, {})
    labels: Mapping[str, Sequence[str]] = registry.resolve({"labels": section.get("labels") or {}})["labels"]
    return labels


def check_gold(whole: Whole, test: Mapping[str, GoldCounts] | None) -> None:
    """Raise a ValueError for a task without gold in a split."""
    splits = {"train": whole.train, "dev": whole.dev} | ({} if test is None else {"test": test})
    for key in find_tasks(whole.heads):
        for split, counts in splits.items():
            if not docs_with_gold(counts, [key]):
                attributes = ", ".join(whole.heads[key].gold_attributes)
                raise ValueError(
                    f"head {key!r}: no doc of {split} carries its annotation ({attributes}), so it can't be compared; "
                    "add such docs, or check heads and label_map of the corpora"
                )


def find_systems(heads: Mapping[str, Head], settings: Settings) -> tuple[list[System], dict[str, str]]:
    """RETURNS: the systems to train, and the tasks that can't be trained without all others, with the reason."""
    singles = [alone(heads, task, detach=settings.detach) for task in find_tasks(heads)]
    replaced = {system.tasks[0]: why_not_alone(system) for system in singles if len(system.heads) == len(heads)}
    systems = [joint_system(heads), *(system for system in singles if system.tasks[0] not in replaced)]
    if len(systems) == 1:
        raise ValueError(f"no head can be trained alone: {'; '.join(replaced.values())}")
    if settings.pairs:
        systems += pairs(heads, detach=settings.detach)
    if settings.leave_one_out:
        systems += leave_one_out(heads, detach=settings.detach)
    return systems, replaced


def why_not_alone(system: System) -> str:
    """Why training the task alone would be joint training."""
    return (
        f"head {system.tasks[0]!r} is conditioned on, decoded with or depends on {list(system.alone_with)}, so that "
        "training it alone is joint training; with --detach it is trained without what it is conditioned on or "
        "decoded with"
    )


def derive_system(whole: Whole, system: System) -> Config:
    """The training config of a system."""
    if system.name == JOINT:
        return whole.config
    return derive(whole, tasks=system.tasks, companions=system.alone_with)


def make_run(
    whole: Whole,
    system: System,
    seed: int,
    readers: Mapping[str, dict[str, Any]],
    lengths: Mapping[str, int],
    settings: Settings,
) -> Run:
    """A system's training with one seed."""
    config = derive_system(whole, system)
    if system.name != JOINT:
        config = with_steps(config, lengths[system.name])
    judged = {split: judged_reader(section, system.heads) for split, section in readers.items()}
    return Run(system.name, system.heads, seed, judged_on(config, judged), settings.code)


def runs_of(plan: Plan, system: str) -> Iterator[Run]:
    """The trainings of a system, seed by seed."""
    return (run for run in plan.runs if run.system == system)
