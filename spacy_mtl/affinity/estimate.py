"""Estimate from one short training which heads help each other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import create_train_batches, train_while_improving
from spacy.util import registry, resolve_dot_names
from thinc.api import Config, fix_random_seed
from tqdm import tqdm

from ..balance.sampled_steps import is_sampled
from ..experiments.companions import companions
from ..experiments.seeding import seed_of, with_seed
from ..optimizers.grouped import GroupedAdam
from ..pipeline.multitask import Multitask
from ..protocols.head import Head
from .grouping import Grouping, GroupT, best_groupings, choose
from .lookahead import AffinitiesT, Lookahead

BatchesT = Iterable[tuple[int, Sequence[Example]]]


@dataclass(frozen=True)
class AffinitySettings:
    """steps (int): Length of the training.
    every (int): Number of steps between two measurements, on average.
    max_groups (int): Largest number of groups.
    seed (int | None): Seed in place of the config's.
    """

    steps: int = 500
    every: int = 10
    max_groups: int = 3
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("every", 1), ("max_groups", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")


@dataclass
class Affinity:
    """The estimate: the contents of `affinity.json`.

    config (str): File name of the config.
    heads (list[str]): The heads with a main score, in the order of the config.
    steps, every, seed (int): As they were set.
    measured (int): Number of steps in which something was measured.
    affinity (dict[str, dict[str, float | None]]): Head -> head for which it is good or bad -> mean affinity; None if
        the two were never in one measured batch.
    counts (dict[str, dict[str, int]]): Number of batches behind each mean.
    together (list[list[str]]): Heads that stay in one group, since one is conditioned on another, or decoded with it.
    groupings (list[Grouping]): The best grouping for each number of groups.
    suggested (Grouping): The best of these.
    """

    config: str
    heads: list[str]
    steps: int
    every: int
    seed: int
    measured: int
    affinity: dict[str, dict[str, float | None]]
    counts: dict[str, dict[str, int]]
    together: list[list[str]]
    groupings: list[Grouping]
    suggested: Grouping


def estimate_affinity(config: Config, settings: AffinitySettings, *, name: str, use_gpu: int = -1) -> Affinity:
    """Train for some steps without evaluation, and measure affinities in some of them. `training.before_update` is not
    called.

    config (Config): A training config.
    name (str): Its file name.
    RAISES ValueError: The pipeline has no component multitask or several, the component has one head or is not
        trained, or no batch has gold for two heads.
    """
    config = with_seed(config, seed_of(config) if settings.seed is None else settings.seed)
    nlp = init_nlp(config, use_gpu=use_gpu)
    pipe = find_pipe(nlp)
    heads = find_heads(pipe)
    found = train_and_measure(nlp, pipe, heads, settings)
    return put_together(pipe.heads, heads, found, settings, seed=seed_of(nlp.config), name=name)


def find_pipe(nlp: Language) -> Multitask:
    """The component. Raises a ValueError if there is none, if there are several, or if it is frozen."""
    pipes = [pipe for _, pipe in nlp.components if isinstance(pipe, Multitask)]
    if len(pipes) != 1:
        raise ValueError(
            f"the pipeline {nlp.component_names} has {len(pipes)} components multitask; affinities are between the "
            "heads of one, so it needs exactly one"
        )
    if pipes[0].name in nlp.config["training"]["frozen_components"]:
        raise ValueError(
            f"component {pipes[0].name!r} is in training.frozen_components; take it out, so that it is trained"
        )
    return pipes[0]


def find_heads(pipe: Multitask) -> list[str]:
    """The heads with a main score. Raises a ValueError if there are fewer than two."""
    heads = [key for key, head in pipe.heads.items() if head.main_score is not None]
    if len(heads) < 2:
        raise ValueError(
            f"component {pipe.name!r} has the heads {list(pipe.heads)}, of which {heads} have a main score; affinities "
            "need at least two"
        )
    return heads


def train_and_measure(
    nlp: Language, pipe: Multitask, heads: Sequence[str], settings: AffinitySettings
) -> list[AffinitiesT]:
    """Train as `spacy train` does. RETURNS: what was measured, step by step."""
    config = nlp.config.interpolate()
    training: dict[str, Any] = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    (corpus,) = resolve_dot_names(config, [training["train_corpus"]])
    optimizer, frozen = training["optimizer"], training["frozen_components"]
    if isinstance(optimizer, GroupedAdam):
        optimizer.bind(nlp)
    fix_random_seed(training["seed"])
    annotates = training["annotating_components"]
    lookahead = Lookahead(nlp, pipe, optimizer, heads, frozen=frozen, annotates=annotates)
    found: list[AffinitiesT] = []

    def watched(batches: BatchesT) -> Iterator[tuple[int, Sequence[Example]]]:
        for number, (epoch, batch) in enumerate(batches):
            if is_sampled(number, settings.every):
                found.append(lookahead.measure(batch))
            yield epoch, batch

    steps = train_while_improving(
        nlp,
        optimizer,
        watched(create_train_batches(nlp, corpus, training["batcher"], training["max_epochs"])),
        lambda: (0.0, {}),
        dropout=training["dropout"],
        eval_frequency=settings.steps + 1,
        accumulate_gradient=training["accumulate_gradient"],
        patience=0,
        max_steps=settings.steps - 1,
        exclude=frozen,
        annotating_components=annotates,
        before_update=None,
    )
    for _ in tqdm(steps, total=settings.steps, desc="training", unit=" steps", disable=None, leave=False):
        pass
    return found


def put_together(
    all_heads: Mapping[str, Head],
    heads: list[str],
    found: Sequence[AffinitiesT],
    settings: AffinitySettings,
    *,
    seed: int,
    name: str,
) -> Affinity:
    """Means over the measured steps, and the groupings that follow from them."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for affinities in found:
        for one, others in affinities.items():
            for other, value in others.items():
                values[one, other].append(value)
    pairs = {pair: fmean(several) for pair, several in values.items()}
    if not any(one != other for one, other in pairs):
        raise ValueError(
            f"none of the {len(found)} measured batches has gold for two of the heads {heads}; let batches mix "
            "corpora, annotate docs for several heads, or measure more often"
        )
    units = units_of(all_heads, heads)
    groupings = best_groupings(heads, pairs, units, settings.max_groups)
    return Affinity(
        config=name,
        heads=heads,
        steps=settings.steps,
        every=settings.every,
        seed=seed,
        measured=len(found),
        affinity={one: {other: pairs.get((one, other)) for other in heads} for one in heads},
        counts={one: {other: len(values[one, other]) for other in heads} for one in heads},
        together=[list(unit) for unit in units if len(unit) > 1],
        groupings=groupings,
        suggested=choose(groupings),
    )


def units_of(all_heads: Mapping[str, Head], heads: Sequence[str]) -> list[GroupT]:
    """The heads that must stay together, since one is conditioned on another, or decoded with it."""
    units: list[set[str]] = []
    for head in heads:
        own = {head, *(other for other in companions(all_heads, (head,), detach=False) if other in heads)}
        linked = [unit for unit in units if unit & own]
        units = [unit for unit in units if not unit & own] + [own.union(*linked)]
    return [tuple(head for head in heads if head in unit) for unit in units]


def write_affinity(affinity: Affinity, path: Path) -> None:
    """Write the estimate as JSON."""
    text = json.dumps(asdict(affinity), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf8", newline="\n")


def read_affinity(path: Path) -> Affinity:
    """Read what `write_affinity` wrote. Raises a ValueError if it is something else."""
    try:
        data = json.loads(path.read_text(encoding="utf8"))
        groupings = [Grouping(**one) for one in data.pop("groupings")]
        return Affinity(**data | {"groupings": groupings, "suggested": Grouping(**data["suggested"])})
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not an affinity.json, which mtl affinity writes: {error}") from error
