"""The number of threads that torch uses: one while the threads of `parallel.py` share a batch, and one after a fork."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from thinc.compat import has_torch, torch


class TorchThreads:
    """The number of torch's threads, which overlapping calls of `one` lower together.

    torch has a number for the process, which a thread copies when it first computes, and from then on one for that
    thread. Therefore every thread sets its own number when it enters `one`, and on leaving restores the number from
    before the first thread entered.
    """

    def __init__(self) -> None:
        self._n_outside = 1
        self.reset()

    def reset(self) -> None:
        """Forget all threads inside `one`: a forked process has none of them but the one that forked it."""
        self._lock = Lock()
        self._n_inside = 0

    def count(self) -> int:
        """Return the number of threads outside of `one`."""
        with self._lock:
            return self._n_outside if self._n_inside else int(torch.get_num_threads())

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let torch use one thread within the context, in this thread and in those that first compute meanwhile."""
        with self._lock:
            if not self._n_inside:
                self._n_outside = torch.get_num_threads()
            self._n_inside += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                torch.set_num_threads(self._n_outside)


THREADS = TorchThreads()


@cache
def use_one_thread_after_forks() -> None:
    """Let torch use one thread in every process that is forked from now on, as by nlp.pipe(n_process=2). With more, it
    would wait forever for threads that exist only in the parent process.
    """
    if has_torch and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_begin_child)


def _begin_child() -> None:
    THREADS.reset()
    torch.set_num_threads(1)
