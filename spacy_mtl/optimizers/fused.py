"""A step of Adam with torch's fused kernel: one pass over the memory of each parameter, many parameters in one call."""

import math
from typing import Any, NamedTuple

from thinc.compat import torch

# torch.Tensor, if torch can be imported
TensorT = Any


class Step(NamedTuple):
    """The settings of a step.

    learn_rate (float): Step size.
    decay (float): Weight decay; `learn_rate * decay` is the share of the weights that is subtracted.
    beta1 (float): Decay rate of the running mean of the gradient.
    beta2 (float): Decay rate of the running mean of the squared gradient.
    eps (float): Constant added to the root of the running mean of the squared gradient.
    n_steps (int): Number of steps that the parameters have taken, including this one.
    """

    learn_rate: float
    decay: float
    beta1: float
    beta2: float
    eps: float
    n_steps: int


class Moments(NamedTuple):
    """The tensors of some parameters. Each list has one tensor for each parameter.

    weights (list[Tensor]): The parameters.
    gradients (list[Tensor]): Their gradients.
    means (list[Tensor]): Running means of the gradients.
    squares (list[Tensor]): Running means of the squared gradients.
    """

    weights: list[TensorT]
    gradients: list[TensorT]
    means: list[TensorT]
    squares: list[TensorT]


def take_step(tensors: Moments, step: Step, *, divisor: TensorT | None = None) -> None:
    """Update the weights and the moments in place.

    tensors (Moments): The tensors, all on one device.
    step (Step): The settings of the step.
    divisor (Tensor | None): Number by which the gradients are divided first.
    """
    # torch decays the weights before the step, thinc after it. A shorter step makes up for that.
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
        # torch adds eps after the bias correction of the mean square, thinc before it.
        eps=step.eps / math.sqrt(1.0 - step.beta2**step.n_steps),
        amsgrad=False,
        maximize=False,
        grad_scale=divisor,
    )


def clip_norms(gradients: list[TensorT], limit: float) -> None:
    """Clip each gradient to a maximum norm, in place and without waiting for a GPU."""
    norms = torch.stack(torch._foreach_norm(gradients))
    if not norms.is_cuda:
        for gradient, norm in zip(gradients, norms.tolist(), strict=True):
            if norm > limit:
                gradient.div_(norm / limit)
        return
    torch._foreach_mul_(gradients, (limit / norms.clamp(min=limit)).unbind())
