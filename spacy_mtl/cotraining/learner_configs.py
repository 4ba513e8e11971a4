"""The configs of the two learners, whose mistakes should differ: by the seed, or by what they see of the text."""

from collections.abc import Iterator, Mapping
from typing import Any

from thinc.api import Config

from .settings import Settings

FIRST, SECOND = "first", "second"
SUBWORDS = "subword_features"


def make_learner_configs(config: Config, settings: Settings) -> dict[str, Config]:
    """By the learner's name. The first one's is the given config.

    config (Config): A filled training config, not interpolated.
    RETURNS (dict[str, Config]): With "seeds" the second learner's seed is one higher, with "views" its encoder differs.
    """
    if settings.agreement == "seeds":
        return {FIRST: config.copy(), SECOND: with_seed(config, seed_of(config) + 1)}
    view = settings.view or opposite_subwords(config)
    return {FIRST: config.copy(), SECOND: with_settings(config, view)}


def seed_of(config: Config) -> int:
    """The seed of the training. Raises a ValueError if there is none: nothing could be repeated."""
    seed = config.interpolate()["training"]["seed"]
    if seed is None:
        raise ValueError("training.seed is null; set it, so that the run can be repeated and the learners differ by it")
    return int(seed)


def with_seed(config: Config, seed: int) -> Config:
    """The config with another seed; also as `system.seed`, which readers may refer to."""
    changed = config.copy()
    changed["training"]["seed"] = seed
    if "seed" in changed.get("system", {}):
        changed["system"]["seed"] = seed
    return changed


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with other values. Raises a ValueError for a path that it doesn't have."""
    changed = config.copy()
    for path, value in settings.items():
        *parents, name = path.split(".")
        section: Any = changed
        for key in parents:
            section = section.get(key) if isinstance(section, Mapping) else None
        if not isinstance(section, dict) or name not in section:
            raise ValueError(f"view: the config has no setting {path!r}; give its whole path, with dots")
        section[name] = value
    if changed == config:
        raise ValueError(f"view: with {dict(settings)} both learners see the same; set another value")
    return changed


def opposite_subwords(config: Config) -> dict[str, bool]:
    """Turn `subword_features` round in each encoder: words alone, or words with prefix, suffix and shape."""
    view = {path: not value for path, value in settings_named(SUBWORDS, config["components"], "components")}
    if not view:
        raise ValueError(
            f"view: no encoder of the config has the setting {SUBWORDS}, so say what the second learner should see "
            "otherwise: a setting of its encoder, such as components.tok2vec.model.embed.attrs"
        )
    return view


def settings_named(name: str, section: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Every setting of this name under the section, with its path."""
    for key, value in section.items():
        if key == name:
            yield f"{path}.{key}", value
        elif isinstance(value, Mapping):
            yield from settings_named(name, value, f"{path}.{key}")
