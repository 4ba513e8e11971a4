"""The threads of numpy's matrix library beside those of torch."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from thinc.compat import has_torch
from threadpoolctl import ThreadpoolController

# a batch with fewer tokens has no product that is worth more than one thread
MIN_TOKENS = 128


def one_blas_thread(n_tokens: int) -> AbstractContextManager[Any]:
    """Let numpy multiply on one thread where torch has threads too. The other threads of numpy's matrix library wait
    for the next product in a loop, and take that time from the encoder's.
    """
    if not has_torch or n_tokens < MIN_TOKENS:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
