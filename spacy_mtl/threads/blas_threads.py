"""The number of threads of numpy's matrix library (BLAS) while torch has threads too."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from threading import Lock
from typing import Any

from thinc.compat import has_torch
from threadpoolctl import ThreadpoolController

# Batches with fewer tokens have no product that is large enough for more than one thread.
MIN_TOKENS = 128


def one_blas_thread(n_tokens: int) -> AbstractContextManager[Any]:
    """Let numpy multiply on one thread within the context if torch has threads too.

    The other threads of numpy's matrix library would wait for the next product in a busy loop, and so slow down the
    threads of the encoder.

    n_tokens (int): Number of tokens in the batch. Small batches leave the number of threads as it is.
    """
    if not has_torch or n_tokens < MIN_TOKENS:
        return nullcontext()
    return BLAS_THREADS.one()


class BlasThreads:
    """The number of threads of numpy's matrix library, which is a setting of the whole process.

    Calls of `one` in several threads may overlap: the first one lowers the number, and the last one restores it.
    """

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        """Forget all threads inside `one`: a forked process has none of them but the one that forked it."""
        self._lock = Lock()
        self._n_inside = 0
        self._limit: Any = None

    @cached_property
    def _controller(self) -> ThreadpoolController:
        # BLAS only, since a limit restores all libraries of its controller, and OpenMP, which torch uses, is another.
        return ThreadpoolController().select(user_api="blas")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let numpy multiply on one thread within the context."""
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
        # From threadpoolctl 3.8 on, only the thread that first set the number of OpenBLAS can set it again.
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


BLAS_THREADS = BlasThreads()
