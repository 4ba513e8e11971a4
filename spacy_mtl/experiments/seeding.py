"""The seed of a training config."""

from thinc.api import Config


def seed_of(config: Config) -> int:
    """The seed of the training. Raises a ValueError if there is none: nothing could be repeated."""
    seed = config.interpolate()["training"]["seed"]
    if seed is None:
        raise ValueError("training.seed is null; set it, so that a training can be repeated and seeds can be compared")
    return int(seed)


def with_seed(config: Config, seed: int) -> Config:
    """The config with another seed; also as `system.seed`, which readers may refer to."""
    changed = config.copy()
    changed["training"]["seed"] = seed
    if "seed" in changed.get("system", {}):
        changed["system"]["seed"] = seed
    return changed
