"""Adam's step in torch's fused kernel: each parameter in one pass over its memory, and many of them in one call."""

import math
from typing import Any, NamedTuple

from thinc.compat import torch

# torch.Tensor, where torch can be imported
TensorT = Any


class Step(NamedTuple):
    """The settings of a step.

    learn_rate (float): Step size. decay (float): Share of the weights that is taken off, times `learn_rate`.
    beta1, beta2, eps (float): As in `spacy_mtl.Adam.v1`.
    n_steps (int): Steps of the parameters, with this one.
    """

    learn_rate: float
    decay: float
    beta1: float
    beta2: float
    eps: float
    n_steps: int


class Moments(NamedTuple):
    """Tensors of some parameters, one each. means, squares: the running means of gradient and squared gradient."""

    weights: list[TensorT]
    gradients: list[TensorT]
    means: list[TensorT]
    squares: list[TensorT]


def take_step(tensors: Moments, step: Step, *, divisor: TensorT | None = None) -> None:
    """Change the weights and the moments in place.

    divisor (Tensor | None): What the gradients are divided by first.
    """
    # torch decays the weights before the step, thinc the result: the step is shortened as much
    decay = step.learn_rate * step.decay
    learn_rate = step.learn_rate * (1.0 - decay)
    age = torch.full((), float(step.n_steps), device=tensors.weights[0].device)
    fused: Any = torch._fused_adamw_
    fused(
        *tensors,
        [],
        [age] * len(tensors.weights),
        lr=learn_rate,
        beta1=step.beta1,
        beta2=step.beta2,
        weight_decay=decay / learn_rate if decay else 0.0,
        # torch adds it after the correction of the mean square's bias, thinc before
        eps=step.eps / math.sqrt(1.0 - step.beta2**step.n_steps),
        amsgrad=False,
        maximize=False,
        grad_scale=divisor,
    )


def clip_norms(gradients: list[TensorT], limit: float) -> None:
    """Shorten those whose norm is greater, in place, without waiting for the device."""
    norms = torch.stack(torch._foreach_norm(gradients))
    torch._foreach_mul_(gradients, (limit / norms.clamp(min=limit)).unbind())
