"""The threads of numpy's matrix library beside those of torch."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from threading import Lock
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
    return BLAS_THREADS.one()


class BlasThreads:
    """The number of threads of numpy's matrix library, which all threads of the process share: the first of
    overlapping calls of `one` lowers it, and the last one sets it back.
    """

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        """Forget the threads inside `one`: of all threads, a forked process keeps only the one that forked it."""
        self._lock = Lock()
        self._n_inside = 0
        self._limit: Any = None

    @cached_property
    def _controller(self) -> ThreadpoolController:
        # A limit sets all libraries of its controller back, and among them would be the OpenMP of torch.
        return ThreadpoolController().select(user_api="blas")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let numpy multiply on one thread."""
        with self._lock:
            if not self._n_inside:
                self._limit = self._controller.limit(limits=1)
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    self._let_any_thread_set()
                    self._limit.restore_original_limits()
                    self._let_any_thread_set()

    def _let_any_thread_set(self) -> None:
        # From threadpoolctl 3.8 on, only the thread that set OpenBLAS's number first can set it again.
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


BLAS_THREADS = BlasThreads()
