"""Adam with parameter groups, so that encoder and heads can have learning rates of their own."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from spacy.language import Language
from thinc.optimizers import FloatOrSeq, KeyT, Optimizer

from ..protocols.arrays import ArrayT
from .adam import Adam
from .fused import TensorT
from .groups import Group, read_groups
from .growth import fits_in, move_moments
from .parameters import find_parameters

CHECK_AFTER = 100
# spaCy creates the optimizer where no callback can reach it. The callback finds it here by the folder of the state,
# which both know.
BY_STATE: "WeakValueDictionary[Path, GroupedAdam]" = WeakValueDictionary()


def make_optimizer_v1(
    learn_rate: FloatOrSeq = 0.001,
    groups: dict[str, dict[str, Any]] | None = None,
    *,
    L2: FloatOrSeq = 0.0,
    decay_exempt: str = r"bias|[nN]orm|\bln_",
    beta1: FloatOrSeq = 0.9,
    beta2: FloatOrSeq = 0.999,
    eps: FloatOrSeq = 1e-8,
    grad_clip: FloatOrSeq = 1.0,
    L2_is_weight_decay: bool = True,
    use_averages: bool = False,
    state: str | None = None,
) -> "GroupedAdam":
    """Build an optimizer that takes the steps of `spacy_mtl.Adam.v1`, with a learning rate of its own for each group of
    parameters.

    A group contains the parameters whose name matches its `pattern`. It is an error if two groups match a parameter, or
    if a group has matched none after 100 steps. Parameters that no group matches use the settings of the optimizer.

    learn_rate (float | Schedule): Step size of the parameters that no group matches.
    groups (dict[str, dict] | None): Groups of parameters, under names of your choice, in any order.
        pattern (str): Regular expression that is searched in the name of a parameter.
        learn_rate (float | Schedule): Step size; by default the optimizer's.
        learn_rate_factor (float): Factor of the step size, above 0: of the optimizer's schedule, or of the group's own.
        L2 (float | Schedule): Weight decay; by default the optimizer's.
        frozen (bool): Keep the parameters exactly as they are.
        unfreeze_at (int): Step from which the parameters are updated: gradual unfreezing (Howard and Ruder 2018,
            "Universal Language Model Fine-tuning for Text Classification"). Until then no momentum is collected.
        layer_decay (float): Discriminative fine-tuning (same paper), above 0 and at most 1: the learning rate of layer
            i is multiplied by `layer_decay ** (n_layers - 1 - i)`, that of embeddings by `layer_decay ** n_layers`.
        n_layers (int): Number of layers of the encoder, for `layer_decay`.
        layer (str): Regular expression whose first group is the index of a parameter's layer, counted from 0. By
            default it matches names such as `layer.3.` and `h.3.`.
    L2 (float | Schedule): Weight decay, or the factor of the squared norm if `L2_is_weight_decay` is false.
    decay_exempt (str): Regular expression for the names of parameters without `L2`; by default biases and layer norms
        of torch, as in the fine-tuning of BERT. An empty string exempts none.
    beta1 (float | Schedule): Decay rate of the running mean of the gradient.
    beta2 (float | Schedule): Decay rate of the running mean of the squared gradient.
    eps (float | Schedule): Constant added to the root of the running mean of the squared gradient.
    grad_clip (float | Schedule): Maximum norm of the gradient of one parameter, not of all together; 0 for no limit.
    L2_is_weight_decay (bool): Apply `L2` as decoupled weight decay.
    use_averages (bool): Keep a running mean of the weights. It is evaluated and saved in their place.
    state (str | None): Folder of the saved training: the `path` of `spacy_mtl.TrainingState.v1`.
    """
    try:
        exempt = re.compile(decay_exempt) if decay_exempt else None
    except re.error as error:
        raise ValueError(f"Optimizer: decay_exempt {decay_exempt!r} is no regular expression: {error}") from error
    settings = {"beta1": beta1, "beta2": beta2, "eps": eps, "grad_clip": grad_clip, "use_averages": use_averages}
    settings.update(L2=L2, L2_is_weight_decay=L2_is_weight_decay)
    optimizer = GroupedAdam(learn_rate, groups=read_groups(groups or {}), exempt=exempt, settings=settings)
    if state is not None:
        BY_STATE[Path(state).resolve()] = optimizer
    return optimizer


@dataclass(frozen=True)
class ParameterSettings:
    """The settings of a parameter.

    group (Group | None): Its group; None if no group matches it.
    factor (float): Factor of its learning rate.
    exempt (bool): Whether its `L2` is 0.
    """

    group: Group | None
    factor: float
    exempt: bool

    def is_frozen(self, step: int) -> bool:
        """Whether the parameter is not updated in this step."""
        return self.group is not None and step < self.group.unfreeze_at


class GroupedAdam(Adam):
    """The optimizer. `spacy train` calls `step_schedules` after each step, which counts the steps and moves the
    schedules.

    groups (dict[str, Group]): The groups by name.
    step (int): Number of steps taken.
    learn_rate (float): Step size of the parameters that no group matches.
    """

    def __init__(
        self,
        learn_rate: FloatOrSeq,
        *,
        groups: dict[str, Group],
        exempt: re.Pattern[str] | None,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(learn_rate, **settings)
        self.groups = groups
        self.step = 0
        self._exempt = exempt
        self._nlp: Language | None = None
        self._names: dict[KeyT, str] = {}
        self._shapes: dict[KeyT, tuple[int, ...]] = {}
        self._by_key: dict[KeyT, ParameterSettings] = {}

    def bind(self, nlp: Language) -> None:
        """Tell the optimizer the names of the parameters in a pipeline, before the first step.

        Raises a ValueError if a group matches no parameter, or two groups match the same one.

        nlp (Language): The pipeline.
        """
        self._nlp = nlp
        self.find_grown()
        self._check_groups()

    def find_grown(self) -> None:
        """Read the parameters of the pipeline again. A parameter that `add_label` has replaced by a larger one hands on
        its group, moments and averages. One of a new head that took the name of a removed one starts anew if its shape
        is another. Without a pipeline (see `bind`) this does nothing.
        """
        if self._nlp is None:
            return
        keys, shapes = {name: key for key, name in self._names.items()}, self._shapes
        parameters = find_parameters(self._nlp)
        self._names = {parameter.key: name for name, parameter in parameters.items()}
        self._shapes = {parameter.key: parameter.weights.shape for parameter in parameters.values()}
        self._by_key = {key: self._find_settings(key) for key in self._names}
        for new, name in self._names.items():
            old = keys.get(name, new)
            if old != new and fits_in(shapes[old], self._shapes[new]):
                move_moments(self, old, new, shape=shapes[old], grown=self._shapes[new])

    def __call__(self, key: KeyT, weights: ArrayT, gradient: ArrayT, *, lr_scale: float = 1.0) -> tuple[ArrayT, ArrayT]:
        """Update the weights in place and set the gradient to zero. RETURNS: Both."""
        settings = self._settings_for(key)
        if settings.is_frozen(self.step):
            gradient[...] = 0.0
            return weights, gradient
        with self._apply(settings):
            return super().__call__(key, weights, gradient, lr_scale=lr_scale)

    def step_together(self, params: Mapping[KeyT, TensorT]) -> None:
        """Update several torch parameters on one device. The gradients are overwritten."""
        by_settings: dict[ParameterSettings, dict[KeyT, TensorT]] = {}
        for key, param in params.items():
            by_settings.setdefault(self._settings_for(key), {})[key] = param
        for settings, same in by_settings.items():
            if not settings.is_frozen(self.step):
                with self._apply(settings):
                    super().step_together(same)

    def step_schedules(self) -> None:
        """Move all schedules by one step. Raises a ValueError after 100 steps if a group has matched no parameter."""
        self.skip(1)
        if self.step == CHECK_AFTER:
            self._check_groups()

    def skip(self, n_steps: int) -> None:
        """Move all schedules by `n_steps` steps, as if these had been taken."""
        for _ in range(n_steps):
            Optimizer.step_schedules(self)
            for group in self.groups.values():
                group.step()
            self.step += 1

    @contextmanager
    def _apply(self, settings: ParameterSettings) -> Iterator[None]:
        """Use the settings of one parameter within the context."""
        learn_rate, L2 = self.learn_rate, self.L2
        if settings.group is not None:
            own = settings.group
            self.learn_rate = (learn_rate if own.learn_rate is None else own.learn_rate.value) * settings.factor
            self.L2 = L2 if own.L2 is None else own.L2.value
        if settings.exempt:
            self.L2 = 0.0
        try:
            yield
        finally:
            self.learn_rate, self.L2 = learn_rate, L2

    def _settings_for(self, key: KeyT) -> ParameterSettings:
        if key not in self._by_key:
            self.find_grown()
        if key not in self._by_key:
            self._by_key[key] = self._find_settings(key)
        return self._by_key[key]

    def _find_settings(self, key: KeyT) -> ParameterSettings:
        name = self._names.get(key, key[1])
        found = [group for group in self.groups.values() if group.pattern.search(name)]
        if len(found) > 1:
            raise ValueError(
                f"Optimizer: parameter {name!r} is matched by the groups {sorted(group.name for group in found)}; "
                "change their patterns so that one of them matches it"
            )
        exempt = self._exempt is not None and self._exempt.search(key[1]) is not None
        if not found:
            return ParameterSettings(None, 1.0, exempt)
        return ParameterSettings(found[0], found[0].factor(key[1]), exempt)

    def _check_groups(self) -> None:
        matched = {settings.group.name for settings in self._by_key.values() if settings.group is not None}
        for name in sorted(set(self.groups) - matched):
            names = sorted({self._names.get(key, key[1]) for key in self._by_key})
            some = names[:: math.ceil(len(names) / 5)] if names else []
            raise ValueError(
                f"Optimizer: group {name!r}: its pattern {self.groups[name].pattern.pattern!r} matches none of the "
                f"{len(names)} names of parameters, such as {some}; change the pattern, or leave the group out. The "
                "parameters of frozen components are not among them, and thinc's layers have short names unless the "
                "optimizer is bound to the pipeline, as by spacy_mtl.TrainingState.v1"
            )
