"""How many threads torch computes with: one while our own threads share a batch, and one in a forked process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from thinc.compat import has_torch, torch


class TorchThreads:
    """torch's number of threads, which overlapping calls of `one` lower together.

    torch keeps a number for the process, which a thread takes over when it first computes, and then one for that
    thread. So every thread that enters `one` sets its own, and goes back to the number from before the first entered.
    """

    def __init__(self) -> None:
        self._n_outside = 1
        self.reset()

    def reset(self) -> None:
        """Forget the threads inside `one`: of all threads, a forked process keeps only the one that forked it."""
        self._lock = Lock()
        self._n_inside = 0

    def count(self) -> int:
        """The number of threads outside of `one`."""
        with self._lock:
            return self._n_outside if self._n_inside else int(torch.get_num_threads())

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let this thread, and those that first compute meanwhile, use one thread."""
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
    """Let torch compute on one thread in every process that is forked from now on, as by nlp.pipe(n_process=2). With
    more, it would wait forever for threads that exist only in the process it was forked from.
    """
    if has_torch and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_begin_child)


def _begin_child() -> None:
    THREADS.reset()
    torch.set_num_threads(1)
