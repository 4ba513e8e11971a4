"""thinc's Adam through torch's fused kernel, which updates a parameter in one pass over its memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from thinc.api import Optimizer
from thinc.compat import has_torch, torch
from thinc.optimizers import FloatOrSeq, KeyT
from thinc.util import torch2xp, xp2torch

from ..protocols.arrays import ArrayT, is_plain
from ..threads.torch_threads import THREADS
from .fused import Moments, Step, TensorT, clip_norms, take_step


def make_adam_v1(
    learn_rate: FloatOrSeq = 0.001,
    *,
    L2: FloatOrSeq = 0.0,
    beta1: FloatOrSeq = 0.9,
    beta2: FloatOrSeq = 0.999,
    eps: FloatOrSeq = 1e-8,
    grad_clip: FloatOrSeq = 1.0,
    L2_is_weight_decay: bool = True,
    use_averages: bool = False,
) -> "Adam":
    """Build the optimizer that takes the same steps as thinc's `Adam.v1` with the same settings, through torch's fused
    kernel if torch is installed (Kingma and Ba 2015; weight decay as in Loshchilov and Hutter 2019).

    learn_rate (float | Schedule): Step size.
    L2 (float | Schedule): Weight decay, or the factor of the squared norm if `L2_is_weight_decay` is false.
    beta1 (float | Schedule): Decay rate of the running mean of the gradient.
    beta2 (float | Schedule): Decay rate of the running mean of the squared gradient.
    eps (float | Schedule): Constant added to the root of the running mean of the squared gradient.
    grad_clip (float | Schedule): Maximum norm of the gradient of one parameter; 0 for no limit.
    L2_is_weight_decay (bool): Apply `L2` as decoupled weight decay.
    use_averages (bool): Keep a running mean of the weights. It is evaluated and saved in their place.
    """
    return Adam(
        learn_rate,
        L2=L2,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        L2_is_weight_decay=L2_is_weight_decay,
        use_averages=use_averages,
    )


class Views(dict[tuple[str, KeyT], tuple[ArrayT, TensorT]]):
    """Arrays that thinc keeps, each with a tensor on the same memory. A copy or a pickle is empty, since its tensors
    would have memory of their own.
    """

    def __deepcopy__(self, memo: Any) -> "Views":
        return Views()

    def __reduce__(self) -> tuple[Any, ...]:
        return Views, ()


class Adam(Optimizer):
    """thinc's optimizer. If torch can be imported, its fused kernel updates arrays in main memory. thinc updates all
    others.
    """

    def __init__(self, learn_rate: FloatOrSeq, **settings: Any) -> None:
        super().__init__(learn_rate, **settings)
        self._tensors = Views()

    def __call__(self, key: KeyT, weights: ArrayT, gradient: ArrayT, *, lr_scale: float = 1.0) -> tuple[ArrayT, ArrayT]:
        """Update the weights in place and set the gradient to zero. RETURNS: Both."""
        if not (can_fuse(weights, gradient) and self.b1 > 0.0 and self.b2 > 0.0):
            result: tuple[ArrayT, ArrayT] = super().__call__(key, weights, gradient, lr_scale=lr_scale)
            return result
        self.nr_update[key] += 1
        n_steps = self.nr_update[key]
        if self.L2 and not self.L2_is_weight_decay:
            gradient += self.L2 * weights
        if key not in self.mom1:
            self.mom1[key], self.mom2[key] = _zeros(weights.size), _zeros(weights.size)
        with THREADS.one():
            self._step(weights, gradient, self.mom1[key], self.mom2[key], n_steps, lr_scale)
        if self.averages is not None:
            if key not in self.averages:
                self.averages[key] = _zeros(weights.shape)
            _tensor(self.averages[key]).lerp_(_tensor(weights), _averaged(n_steps))
        return weights, gradient

    def step_together(self, params: Mapping[KeyT, TensorT]) -> None:
        """Update several torch parameters on one device with a few kernels for all of them. The steps are the same as
        with a call for each, and take a fraction of the time. The gradients are overwritten.

        params (Mapping[KeyT, Tensor]): The parameters, each with its gradient.
        """
        can_fuse = hasattr(torch, "_fused_adamw_") and self.b1 > 0.0 and self.b2 > 0.0
        if not can_fuse or not all(_is_plain(param) for param in params.values()):
            for key, param in params.items():
                # Not `self(...)`: a subclass has applied the settings of the parameter already.
                Adam.__call__(self, key, torch2xp(param.data), torch2xp(param.grad))
            return
        by_age: dict[int, list[KeyT]] = {}
        for key in params:
            self.nr_update[key] += 1
            by_age.setdefault(self.nr_update[key], []).append(key)
        for n_steps, keys in by_age.items():
            # On a CPU the step is bound by memory, so waking other threads costs more than it saves.
            with THREADS.one():
                self._step_tensors({key: params[key] for key in keys}, n_steps)

    def _step(
        self, weights: ArrayT, gradient: ArrayT, mean: ArrayT, mean_square: ArrayT, n_steps: int, lr_scale: float
    ) -> None:
        flat = Moments(*([_tensor(array.reshape(-1))] for array in (weights, gradient, mean, mean_square)))
        norm = float(flat.gradients[0].norm()) if self.grad_clip else 0.0
        divisor = torch.tensor(norm / self.grad_clip) if self.grad_clip and norm >= self.grad_clip else None
        take_step(flat, self._settings(n_steps, lr_scale), divisor=divisor)
        flat.gradients[0].zero_()

    def _step_tensors(self, params: Mapping[KeyT, TensorT], n_steps: int) -> None:
        weights = [param.data for param in params.values()]
        gradients = [param.grad for param in params.values()]
        means, squares = (
            [self._keep(name, key, param, shape=[param.numel()]) for key, param in params.items()]
            for name in ("mom1", "mom2")
        )
        if self.L2 and not self.L2_is_weight_decay:
            torch._foreach_add_(gradients, weights, alpha=self.L2)
        if self.grad_clip:
            clip_norms(gradients, self.grad_clip)
        take_step(Moments(weights, gradients, means, squares), self._settings(n_steps, 1.0))
        if self.averages is not None:
            averages = [self._keep("averages", key, param, shape=param.shape) for key, param in params.items()]
            torch._foreach_lerp_(averages, weights, _averaged(n_steps))

    def _settings(self, n_steps: int, lr_scale: float) -> Step:
        decay = self.L2 if self.L2_is_weight_decay else 0.0
        return Step(self.learn_rate * lr_scale, decay, self.b1, self.b2, self.eps, n_steps)

    def _keep(self, name: str, key: KeyT, param: TensorT, *, shape: Sequence[int]) -> TensorT:
        """Return a tensor of the parameter's shape that shares the memory of an array that thinc keeps for it.

        name (str): Attribute of the optimizer, such as "mom1". An array that does not exist yet is filled with zeros.
        key (KeyT): Key of the parameter.
        param (Tensor): The parameter.
        shape (Sequence[int]): Shape of thinc's array.
        """
        arrays: dict[KeyT, ArrayT] = getattr(self, name)
        if key not in arrays:
            arrays[key] = torch2xp(torch.zeros(shape, device=param.device))
        array, tensor = self._tensors.get((name, key), (None, None))
        if array is not arrays[key]:
            tensor = xp2torch(arrays[key], device=param.device).view(param.shape)
            self._tensors[name, key] = arrays[key], tensor
        return tensor


def can_fuse(weights: ArrayT, gradient: ArrayT) -> bool:
    """Whether both are plain arrays in main memory that torch can update in place."""
    if not has_torch or len(gradient) < 1:
        return False
    return hasattr(torch, "_fused_adamw_") and is_plain(weights) and is_plain(gradient)


def _is_plain(param: TensorT) -> bool:
    """Whether a torch parameter and its gradient are contiguous and float32."""
    pair = (param.data, param.grad)
    return all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in pair)


def _averaged(n_steps: int) -> float:
    """Return the weight of the newest parameters in the running mean, as in thinc."""
    return float(1.0 - min((1.0 + n_steps) / (10.0 + n_steps), 0.9999))


def _zeros(shape: int | tuple[int, ...]) -> ArrayT:
    return np.zeros(shape, dtype="float32")


def _tensor(array: ArrayT) -> Any:
    return torch.from_numpy(array)
