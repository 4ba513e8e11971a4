"""The config and the meta of a pipeline whose heads change, so that it can be saved, loaded and trained on."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from spacy.language import Language
from spacy.util import registry as spacy_registry

from ..optimizers.parameters import parameter_names
from ..protocols.head import Head
from ..protocols.head_calibration import ATTR as CALIBRATION
from .default_heads import DEFAULT_HEADS
from .forgetting import OLD_HEADS
from .head_names import JOINT_SCORES, NameChange, change_scores

# Settings by which a head names others: what the Protocols TakesConditions, DecodesJointly and Prepares ask for.
NAMING = ("condition_on", "consistent_with", "depends_on")


def head_sections(nlp: Language, component: str) -> dict[str, Any]:
    """The sections of all heads, as in the config. Heads that stand there by default get sections of their own."""
    sections = nlp.get_pipe_config(component).get("heads")
    return dict(sections or {key: {"@mtl_heads": maker} for key, maker in DEFAULT_HEADS.items()})


def rename_in_section(section: Mapping[str, Any], change: NameChange, *, names_it: bool) -> dict[str, Any]:
    """Rename the heads that a head's section names.

    names_it (bool): Whether the head names one that is renamed. If no setting of `NAMING` does, a setting of the head's
        own stands for one of them, such as `sents` of a parser for `depends_on`.
    """
    changed = deepcopy(dict(section))
    if not names_it:
        return changed
    settings = [key for key in NAMING if _names(changed.get(key), change)]
    for setting in settings or [key for key, value in changed.items() if _names(value, change)]:
        value = changed[setting]
        changed[setting] = change.of(value) if isinstance(value, str) else [change.of(name) for name in value]
    return changed


def _names(value: Any, change: NameChange) -> bool:
    named = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return any(isinstance(name, str) and name in change.renamed for name in named)


def weighting_section(nlp: Language, component: str, change: NameChange, heads: Mapping[str, Any]) -> dict[str, Any]:
    """The section of the weighting for the new heads. If all that stay have the weight 0, they get 1: alone they shall
    learn.
    """
    section = dict(nlp.get_pipe_config(component)["weighting"])
    changed = {key: change.within(value) if isinstance(value, Mapping) else value for key, value in section.items()}
    weights = changed.get("weights")
    if isinstance(weights, dict) and heads and all(weights.get(key) == 0 for key in heads):
        weights.update(dict.fromkeys(heads, 1.0))
    return changed


def make_part(nlp: Language, registry_name: str, section: Mapping[str, Any]) -> Any:
    """Build a head or a weighting from a section, which may refer to other sections of the pipeline's config."""
    whole = nlp.config.copy()
    whole["part"] = {registry_name: deepcopy(dict(section))}
    part = whole.interpolate()["part"]
    return spacy_registry.resolve(part)[registry_name]


def fill_section(nlp: Language, section: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults of all settings that a head's section does not name."""
    whole = nlp.config.copy()
    whole["part"] = {"head": deepcopy(dict(section))}
    return dict(spacy_registry.fill({"part": whole.interpolate()["part"]})["part"]["head"])


def change_config(
    nlp: Language,
    component: str,
    *,
    sections: Mapping[str, Any],
    weighting: Mapping[str, Any],
    heads: Mapping[str, Head],
    change: NameChange,
) -> None:
    """Write the new heads into the pipeline's config and meta, and change all that names the old ones: labels, weights
    of scores, callbacks, corpora, and scores in the meta.

    heads (Mapping[str, Head]): All heads by their old names.
    """
    own = nlp.get_pipe_config(component)
    own["heads"], own["weighting"] = dict(sections), dict(weighting)
    config = nlp.config
    given = config["initialize"].get("components", {}).get(component, {})
    for setting in ("labels", "keep"):
        if isinstance(given.get(setting), Mapping):
            kept = {key: value for key, value in given[setting].items() if key not in change.removed}
            given[setting] = {change.of(key): value for key, value in kept.items()}
    training = config["training"]
    training["score_weights"] = change_weights(training["score_weights"], heads, change)
    training["before_update"] = change.within(training.get("before_update"), component)
    for reader in config.get("corpora", {}).values():
        change_corpora(reader, change)
    change_meta(nlp, component, heads, change)


def change_weights(weights: Mapping[str, Any], heads: Mapping[str, Head], change: NameChange) -> dict[str, Any]:
    """Change the weights of the scores. If nothing is left that counts, the mean of the main scores does."""
    found = change_scores(weights, heads, change)
    if any(weights.values()) and not any(found.values()):
        found[JOINT_SCORES[0]] = 1.0
    return found


def change_corpora(section: Any, change: NameChange) -> None:
    """Change which heads learn from each corpus. A corpus that is of use to none goes, unless it is the last."""
    if not isinstance(section, dict):
        return
    sources = section.get("corpora")
    if not isinstance(sources, dict):
        return
    for name, source in list(sources.items()):
        if not isinstance(source, dict) or not isinstance(source.get("heads"), list | tuple):
            continue
        left = change.within(source["heads"])
        if left:
            source["heads"] = left
        elif source["heads"] and len(sources) > 1:
            del sources[name]
            section["sampler"] = NameChange(removed=[name]).within(section.get("sampler"))


def change_meta(nlp: Language, component: str, heads: Mapping[str, Head], change: NameChange) -> None:
    """Change the scores and the heads in the meta. The read-out of the balance was that of other heads, and goes."""
    scores = change_scores(nlp.meta.get("performance", {}), heads, change)
    if change.removed:
        scores = {key: value for key, value in scores.items() if key.rpartition("/")[2] not in JOINT_SCORES}
    nlp.meta["performance"] = scores
    own = nlp.meta.get("spacy_mtl", {})
    for shown in ("heads", OLD_HEADS, CALIBRATION):
        if component in own.get(shown, {}):
            own[shown][component] = change.within(own[shown][component])
    own.get("balance", {}).pop(component, None)


def change_groups(nlp: Language, before: set[str], change: NameChange) -> None:
    """Change the optimizer's groups of parameters, since it refuses a group that has none: those of heads that are gone
    go, and patterns that name a renamed head follow it.

    before (set[str]): The names of all parameters before the change.
    """
    groups = nlp.config["training"]["optimizer"].get("groups")
    if not isinstance(groups, dict):
        return
    after = parameter_names(nlp)
    for name in list(groups):
        pattern = groups[name]["pattern"]
        if not _matches(pattern, before) or _matches(pattern, after):
            continue
        for renamed in _renamed_patterns(pattern, change):
            if _matches(renamed, after):
                groups[name]["pattern"] = renamed
                break
        else:
            del groups[name]


def drop_pipes_from_config(nlp: Language, dropped: list[str]) -> None:
    """Take components that are no longer in the pipeline out of the settings that name them."""
    config = nlp.config
    for name in ("frozen_components", "annotating_components"):
        config["training"][name] = [pipe for pipe in config["training"].get(name, []) if pipe not in dropped]
    for pipe in dropped:
        config["initialize"].get("components", {}).pop(pipe, None)
        for shown in nlp.meta.get("spacy_mtl", {}).values():
            if isinstance(shown, dict):
                shown.pop(pipe, None)


def _matches(pattern: str, names: set[str]) -> bool:
    return any(re.search(pattern, name) for name in names)


def _renamed_patterns(pattern: str, change: NameChange) -> Iterator[str]:
    for old, new in change.renamed.items():
        yield re.sub(rf"(?<!\w){re.escape(re.escape(old))}(?!\w)", lambda _, new=new: re.escape(new), pattern)  # type: ignore[misc]
