"""The random number generators that a training uses: Python's, numpy's, and torch's if it can be imported."""

import random
from typing import Any

import numpy as np
from thinc.compat import has_torch, torch


def read_generators() -> dict[str, Any]:
    """Return the state of the generators, for msgpack. On a GPU it includes torch's generator but not cupy's."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [name, keys, position, has_gauss, cached],
    }
    if has_torch:
        state["torch"] = torch.get_rng_state().numpy()
        state["cuda"] = [tensor.numpy() for tensor in torch.cuda.get_rng_state_all()]
    return state


def set_generators(state: dict[str, Any]) -> None:
    """Set the state of the generators, so that they continue as after `read_generators`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    if has_torch and "torch" in state:
        torch.set_rng_state(torch.from_numpy(state["torch"].copy()))
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([torch.from_numpy(array.copy()) for array in state["cuda"]])
