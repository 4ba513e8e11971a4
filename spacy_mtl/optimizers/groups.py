"""A group of parameters, chosen by a regular expression, with a learning rate and weight decay of its own."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thinc.optimizers import FloatOrSeq

OPTIONS = (
    "pattern",
    "learn_rate",
    "learn_rate_factor",
    "L2",
    "frozen",
    "unfreeze_at",
    "layer_decay",
    "n_layers",
    "layer",
)
LAYER = r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\."
EMBEDDINGS = re.compile(r"embed|wte|wpe")


class Rate:
    """A number, or a schedule with a number for each step. When a schedule ends, its last number stays.

    value (float): The number of the current step.
    """

    def __init__(self, value: FloatOrSeq) -> None:
        self._schedule: Iterator[float] = iter([value] if isinstance(value, int | float) else value)
        self.value = next(self._schedule)
        if not isinstance(self.value, int | float):
            raise TypeError(f"{self.value!r} is no number")

    def step(self) -> None:
        """Move to the next number."""
        self.value = next(self._schedule, self.value)


@dataclass(frozen=True)
class Group:
    """A group of parameters.

    name (str): Its name in the config.
    pattern (re.Pattern): Regular expression that is searched in the names of parameters.
    learn_rate (Rate | None): Step size; None for the optimizer's.
    learn_rate_factor (float): Factor of the step size.
    L2 (Rate | None): Weight decay; None for the optimizer's.
    unfreeze_at (float): Step from which the parameters are updated; infinite if the group is frozen.
    layer_decay (float): Factor of the learning rate from each layer to the one below.
    n_layers (int): Number of layers of the encoder; 0 if there is no decay.
    layer (re.Pattern): Regular expression whose first group is the index of a parameter's layer.
    """

    name: str
    pattern: re.Pattern[str]
    learn_rate: Rate | None
    learn_rate_factor: float
    L2: Rate | None
    unfreeze_at: float
    layer_decay: float
    n_layers: int
    layer: re.Pattern[str]

    def factor(self, param: str) -> float:
        """Return the factor of a parameter's learning rate: learn_rate_factor * layer_decay ** (n_layers - 1 - layer).

        With learn_rate_factor = 1, layer_decay = 0.5 and n_layers = 3 it is 1 in layer 2, the last one, 0.5 in layer 1,
        0.25 in layer 0, and 0.125 in the embedding. Without `layer_decay`, and outside of the layers, it is
        `learn_rate_factor`.

        param (str): Name of the parameter.
        """
        if not self.n_layers:
            return self.learn_rate_factor
        found = self.layer.search(param)
        if found is None:
            decay = self.layer_decay**self.n_layers if EMBEDDINGS.search(param) else 1.0
            return self.learn_rate_factor * decay
        number = int(found[1])
        if number >= self.n_layers:
            raise ValueError(
                f"Optimizer: group {self.name!r}: parameter {param!r} is in layer {number}, counted from 0, but "
                f"n_layers is {self.n_layers}; set n_layers to the number of the encoder's layers"
            )
        return float(self.learn_rate_factor * self.layer_decay ** (self.n_layers - 1 - number))

    def step(self) -> None:
        """Move the schedules by one step."""
        for rate in (self.learn_rate, self.L2):
            if rate is not None:
                rate.step()


def read_groups(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Group]:
    """Read all groups from the config. Raises a ValueError that names the group and the setting that can't be used."""
    return {name: read_group(name, settings) for name, settings in groups.items()}


def read_group(name: str, settings: Mapping[str, Any]) -> Group:
    """Read one group from its settings in the config."""
    unknown = sorted(set(settings) - set(OPTIONS))
    if unknown:
        raise ValueError(f"Optimizer: group {name!r}: unknown settings {unknown}, expected some of {list(OPTIONS)}")
    frozen, unfreeze_at = bool(settings.get("frozen")), settings.get("unfreeze_at") or 0
    if frozen and unfreeze_at:
        raise ValueError(f"Optimizer: group {name!r}: frozen and unfreeze_at are both set; set only one of them")
    if not isinstance(unfreeze_at, int) or unfreeze_at < 0:
        raise ValueError(f"Optimizer: group {name!r}: unfreeze_at is {unfreeze_at!r}, expected a number of steps")
    layer_decay, n_layers = _read_decay(name, settings)
    layer = _read_pattern(name, settings.get("layer", LAYER), "layer")
    if not layer.groups:
        raise ValueError(f"Optimizer: group {name!r}: layer is {layer.pattern!r}; it needs a group (\\d+)")
    return Group(
        name=name,
        pattern=_read_pattern(name, settings.get("pattern"), "pattern"),
        learn_rate=_read_rate(name, settings.get("learn_rate"), "learn_rate"),
        learn_rate_factor=_read_factor(name, settings.get("learn_rate_factor", 1.0)),
        L2=_read_rate(name, settings.get("L2"), "L2"),
        unfreeze_at=float("inf") if frozen else unfreeze_at,
        layer_decay=layer_decay,
        n_layers=n_layers,
        layer=layer,
    )


def _read_decay(name: str, settings: Mapping[str, Any]) -> tuple[float, int]:
    layer_decay, n_layers = settings.get("layer_decay"), settings.get("n_layers") or 0
    if layer_decay is None:
        return 1.0, 0
    if not 0.0 < layer_decay <= 1.0:
        raise ValueError(f"Optimizer: group {name!r}: layer_decay is {layer_decay}, expected above 0 and at most 1")
    if n_layers < 1:
        raise ValueError(
            f"Optimizer: group {name!r}: layer_decay needs n_layers, the number of the encoder's layers; see "
            "num_hidden_layers in the transformer's config.json"
        )
    return layer_decay, n_layers


def _read_factor(name: str, factor: Any) -> float:
    if not isinstance(factor, int | float) or not 0 < factor < math.inf:
        raise ValueError(
            f"Optimizer: group {name!r}: learn_rate_factor is {factor!r}, expected a number above 0; set frozen = true "
            "to keep the parameters as they are"
        )
    return float(factor)


def _read_pattern(name: str, text: Any, setting: str) -> re.Pattern[str]:
    if not text or not isinstance(text, str):
        raise ValueError(f"Optimizer: group {name!r}: {setting} is {text!r}, expected a regular expression")
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(
            f"Optimizer: group {name!r}: {setting} {text!r} is no regular expression: {error}; mind that \\ is \\\\ in "
            "a config"
        ) from error


def _read_rate(name: str, value: FloatOrSeq | None, setting: str) -> Rate | None:
    if value is None:
        return None
    try:
        return Rate(value)
    except (StopIteration, TypeError) as error:
        raise ValueError(
            f"Optimizer: group {name!r}: {setting} is {value!r}, expected a number or a schedule that is not empty"
        ) from error
