"""thinc's Adam, each parameter in one pass over its memory."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
from thinc.api import Optimizer
from thinc.compat import has_torch, torch
from thinc.optimizers import FloatOrSeq

from ..types import ArrayT


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
    """Build the optimizer: the same steps as thinc's `Adam.v1` (Kingma and Ba 2015; weight decay as in Loshchilov and
    Hutter 2019), with the same settings.

    learn_rate (float | Schedule): Step size.
    L2 (float | Schedule): Weight decay, or weight of the squared norm if not `L2_is_weight_decay`.
    beta1, beta2 (float | Schedule): Decay of the running means of gradient and squared gradient.
    eps (float | Schedule): Added to the root of the latter.
    grad_clip (float | Schedule): Greatest norm of a parameter's gradient; 0 for no limit.
    use_averages (bool): Keep a running mean of the weights, which is evaluated and saved in their place.
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


class Adam(Optimizer):
    """thinc's optimizer. Torch's fused kernel, if it can be imported, updates arrays in main memory; others are updated
    as thinc does.
    """

    def __call__(
        self, key: tuple[int, str], weights: ArrayT, gradient: ArrayT, *, lr_scale: float = 1.0
    ) -> tuple[ArrayT, ArrayT]:
        """Change the weights in place and set the gradient to zero. RETURNS: both."""
        if not (can_fuse(weights, gradient) and self.b1 > 0.0 and self.b2 > 0.0):
            result: tuple[ArrayT, ArrayT] = super().__call__(key, weights, gradient, lr_scale=lr_scale)
            return result
        self.nr_update[key] += 1
        n_steps = self.nr_update[key]
        if self.L2 and not self.L2_is_weight_decay:
            gradient += self.L2 * weights
        if key not in self.mom1:
            self.mom1[key], self.mom2[key] = _zeros(weights.size), _zeros(weights.size)
        with _one_thread():
            self._step(weights, gradient, self.mom1[key], self.mom2[key], n_steps, lr_scale)
        if self.averages is not None:
            if key not in self.averages:
                self.averages[key] = _zeros(weights.shape)
            decay = min((1.0 + n_steps) / (10.0 + n_steps), 0.9999)
            _tensor(self.averages[key]).lerp_(_tensor(weights), 1.0 - decay)
        return weights, gradient

    def _step(
        self, weights: ArrayT, gradient: ArrayT, mean: ArrayT, mean_square: ArrayT, n_steps: int, lr_scale: float
    ) -> None:
        flat = [_tensor(array.reshape(-1)) for array in (weights, gradient, mean, mean_square)]
        norm = float(flat[1].norm()) if self.grad_clip else 0.0
        scale = torch.tensor(norm / self.grad_clip) if self.grad_clip and norm >= self.grad_clip else None
        lr = self.learn_rate * lr_scale
        # torch decays the weights before the step, thinc the result: the step is shortened as much
        decay = lr * self.L2 if self.L2_is_weight_decay else 0.0
        lr *= 1.0 - decay
        fused: Any = torch._fused_adamw_
        fused(
            *([tensor] for tensor in flat),
            [],
            [torch.tensor(float(n_steps))],
            lr=lr,
            beta1=self.b1,
            beta2=self.b2,
            weight_decay=decay / lr if decay else 0.0,
            # torch adds it after the correction of the mean square's bias, thinc before
            eps=self.eps / math.sqrt(1.0 - self.b2**n_steps),
            amsgrad=False,
            maximize=False,
            grad_scale=scale,
        )
        flat[1].zero_()


def can_fuse(weights: ArrayT, gradient: ArrayT) -> bool:
    """Whether both are plain arrays that torch can work on where they lie."""
    if not has_torch or len(gradient) < 1:
        return False
    arrays = (weights, gradient)
    return hasattr(torch, "_fused_adamw_") and all(
        type(array) is numpy.ndarray and array.dtype == "float32" and array.flags.c_contiguous for array in arrays
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Memory is the limit, not arithmetic: to wake other threads costs more than they save."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _zeros(shape: int | tuple[int, ...]) -> ArrayT:
    return numpy.zeros(shape, dtype="float32")


def _tensor(array: ArrayT) -> Any:
    return torch.from_numpy(array)
