"""Derive the training config of a single task, or of some tasks, from the config of all."""

import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from spacy.util import load_model_from_config
from thinc.api import Config

from ..optimizers.parameters import parameter_names
from ..pipeline.head_names import JOINT_SCORES, owner_of
from ..pipeline.score_weights import SELECTIONS
from ..protocols.head import Head
from ..protocols.head_gold import ClaimsCats
from ..protocols.head_labels import HasLabels
from .companions import CUT_OFF
from .corpus_sections import is_multi_corpus, reader_section
from .gold_counts import GoldCounts

ONLY_GOLD = "spacy_mtl.OnlyGold.v1"


@dataclass(frozen=True)
class Whole:
    """The config that others are derived from, and what reading it has shown.

    config (Config): Filled and interpolated.
    component (str): Name of the component in the pipeline.
    heads (Mapping[str, Head]): Its heads.
    train (Mapping[str, GoldCounts]): What each training corpus has, by name.
    dev (Mapping[str, GoldCounts]): The same of dev.
    """

    config: Config
    component: str
    heads: Mapping[str, Head]
    train: Mapping[str, GoldCounts]
    dev: Mapping[str, GoldCounts]


def derive(whole: Whole, *, tasks: Sequence[str], companions: Sequence[str] = ()) -> Config:
    """The same training for some of the heads: the same encoder, optimizer, batcher and length.

    Training reads what these heads learn from: corpora without their gold are left out, and so are docs without it in
    the corpora that stay. The number of steps is the budget, and a step on docs from which nothing can be learned would
    be taken from the single task. It sees at least as many of its own docs as in joint training, so that a gain of the
    joint system is not one of more data.

    tasks (Sequence[str]): The heads that the training is for. Scores of these choose the best model.
    companions (Sequence[str]): Heads that the tasks cannot do without.
    RETURNS (Config): Filled and interpolated, like the one that it is derived from.
    RAISES ValueError: No doc of the training corpus carries gold of a head.
    """
    kept = [key for key in whole.heads if key in {*tasks, *companions}]
    removed = [key for key in whole.heads if key not in kept]
    config = whole.config.copy()
    section = config["components"][whole.component]
    section["heads"] = {key: cut_off(section["heads"][key], removed) for key in kept}
    for name in ("weighting", "model"):
        if name in section:
            section[name] = without_names(section[name], removed)
    keep_a_weight(section["weighting"], kept)
    set_labels(config, whole, kept, removed)
    initial = config["initialize"].get("components", {}).get(whole.component, {})
    if initial.get("keep"):
        initial["keep"] = {key: factor for key, factor in initial["keep"].items() if key not in removed}
    config["training"]["score_weights"] = score_weights(config["training"]["score_weights"], whole.heads, tasks)
    config["training"]["before_update"] = without_names(
        config["training"].get("before_update"), [*removed, *(f"{whole.component}/{key}" for key in removed)]
    )
    reduce_corpora(config, whole, kept)
    drop_idle_groups(config, whole, removed)
    return config


def cut_off(section: Mapping[str, Any], removed: Collection[str]) -> dict[str, Any]:
    """A head's section, no longer conditioned on heads that are removed, nor decoded with them."""
    changed = deepcopy(dict(section))
    for setting in CUT_OFF:
        value = changed.get(setting)
        if isinstance(value, str) and value in removed:
            changed[setting] = None
        elif isinstance(value, list | tuple):
            changed[setting] = [name for name in value if name not in removed] or None
    return changed


def set_labels(config: Config, whole: Whole, kept: Collection[str], removed: Collection[str]) -> None:
    """Keep the labels that the config gives to the remaining heads. A key of `doc.cats` that a removed head claims,
    such as a number, would be taken for a class: heads that read `doc.cats` are then given the labels that they have
    beside that head.
    """
    given = config["initialize"].get("components", {}).get(whole.component, {}).get("labels") or {}
    labels = {key: value for key, value in given.items() if key not in removed}
    if any(isinstance(whole.heads[key], ClaimsCats) for key in removed):
        for key in kept:
            head = whole.heads[key]
            if isinstance(head, HasLabels) and "doc.cats" in head.gold_attributes:
                labels.setdefault(key, list(head.labels))
    if labels or given:
        config["initialize"].setdefault("components", {}).setdefault(whole.component, {})["labels"] = labels


def without_names(value: Any, names: Collection[str]) -> Any:
    """The value without the keys and list items that are one of these names, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_names(part, names) for key, part in value.items() if key not in names}
    if isinstance(value, list | tuple):
        return [without_names(part, names) for part in value if not (isinstance(part, str) and part in names)]
    return value


def keep_a_weight(weighting: dict[str, Any], kept: Sequence[str]) -> None:
    """Give the heads weight 1 if all of them have 0: alone they shall learn."""
    weights = weighting.get("weights")
    if isinstance(weights, dict) and kept and all(weights.get(key) == 0 for key in kept):
        weights.update(dict.fromkeys(kept, 1.0))


def score_weights(
    weights: Mapping[str, float | None], heads: Mapping[str, Head], tasks: Sequence[str]
) -> dict[str, float | None]:
    """The weights of the scores that these heads report, with a sum of 1. Scores of all heads together stay if there
    is more than one task. If nothing is left, the main scores of the tasks count alike.
    """
    own = {
        key: weight
        for key, weight in weights.items()
        if owner_of(key, heads) in tasks or (key in {*JOINT_SCORES, *SELECTIONS} and len(tasks) > 1)
    }
    total = sum(weight for weight in own.values() if weight)
    if not total:
        own = {f"{key}_{heads[key].main_score}": 1.0 for key in tasks}
        total = float(len(tasks))
    scaled = {key: weight / total if weight else weight for key, weight in own.items()}
    # spaCy adds the default weight of a score that is not named
    return dict.fromkeys(JOINT_SCORES, 0.0) | scaled


def reduce_corpora(config: Config, whole: Whole, kept: Sequence[str]) -> None:
    """Replace the readers of train and dev by those of what these heads have gold in."""
    training = config["training"]
    for setting, counts in (("train_corpus", whole.train), ("dev_corpus", whole.dev)):
        section = reader_section(config, setting)
        reduced = reduce_reader(section, counts, kept, only_gold=setting == "train_corpus", setting=setting)
        replace_section(config, str(training[setting]), reduced)


def reduce_reader(
    section: dict[str, Any], counts: Mapping[str, GoldCounts], kept: Sequence[str], *, only_gold: bool, setting: str
) -> dict[str, Any]:
    """The section of a reader of what these heads have gold in.

    counts (Mapping[str, GoldCounts]): What each of its corpora has.
    only_gold (bool): Leave out docs without gold of these heads.
    """
    found = [name for name, corpus in counts.items() if corpus.docs_for(kept)]
    if not found:
        raise ValueError(f"training.{setting}: no doc carries gold of the heads {list(kept)}; add such docs")
    if not is_multi_corpus(section):
        (corpus,) = counts.values()
        partly = corpus.docs_for(kept) < corpus.docs.total()
        return {"@readers": ONLY_GOLD, "reader": section} if only_gold and partly else section
    dropped = [name for name in counts if name not in found]
    corpora = {name: dict(section["corpora"][name]) for name in found}
    for name, source in corpora.items():
        if source.get("heads") is not None:
            source["heads"] = [key for key in source["heads"] if key in kept]
        if only_gold and counts[name].docs_for(kept) < counts[name].docs.total():
            source["only_gold"] = True
    sampler = without_names(section.get("sampler"), dropped)
    return section | {"corpora": corpora, "sampler": sampler}


def replace_section(config: Config, name: str, section: dict[str, Any]) -> None:
    """Put another section in the place of this dotted name."""
    *parents, last = name.split(".")
    place: Any = config
    for key in parents:
        place = place[key]
    place[last] = section


def drop_idle_groups(config: Config, whole: Whole, removed: Sequence[str]) -> None:
    """Leave out the optimizer's groups for the removed heads' parameters: it refuses groups without parameters."""
    groups = config["training"]["optimizer"].get("groups")
    if not removed or not groups:
        return
    before, after = (parameter_names(load_model_from_config(part, auto_fill=True)) for part in (whole.config, config))
    for name in list(groups):
        pattern = re.compile(groups[name]["pattern"])
        if any(map(pattern.search, before)) and not any(map(pattern.search, after)):
            del groups[name]


def judged_reader(section: Mapping[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """The section of a reader of the same docs in the same order, for a pipeline that has these heads alone."""
    reader = deepcopy(dict(section))
    if not is_multi_corpus(reader):
        return reader
    for source in reader["corpora"].values():
        heads = source.get("heads")
        if heads is None:
            continue
        source["heads"] = [key for key in heads if key in kept] or heads
        if not set(heads) & set(kept):
            source["label_map"] = None  # no head is left that could read the labels
    return reader
