"""Work through the parts of a batch side by side, each with one of torch's threads.

Torch on its own splits every single operation over its threads. That pays little for operations of less than a
millisecond, and costs much where other programs use the cores, since each operation waits for its slowest thread.
Documents do not depend on each other, so their parts need to meet only at the end.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import local
from typing import TypeVar

from thinc.compat import has_torch, torch

from .torch_threads import THREADS

T = TypeVar("T")
PartT = TypeVar("PartT")
# fewer tokens than this take longer to hand to another thread than it saves
PART_TOKENS = 512

_worker = local()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def split_evenly(ends: Sequence[int]) -> list[slice]:
    """Slices of neighbouring docs with about as many tokens each, at most one for each of torch's threads.

    ends (Sequence[int]): 0, and for each doc how many tokens there are up to its end.
    """
    n_tokens = ends[-1]
    n_parts = min(THREADS.count(), n_tokens // PART_TOKENS) if has_torch else 1
    cuts = [bisect_left(ends, n_tokens * i / n_parts) for i in range(1, n_parts)]
    return [slice(start, end) for start, end in pairwise([0, *cuts, len(ends) - 1]) if ends[start] < ends[end]]


def run_parts(function: Callable[[PartT], T], parts: Sequence[PartT]) -> list[T]:
    """The function's result for each part, in order."""
    if not has_torch:
        return [function(part) for part in parts]
    n_threads = THREADS.count()
    with THREADS.one():
        if n_threads == 1 or len(parts) == 1:
            return [function(part) for part in parts]
        futures = [_pool(n_threads - 1).submit(_run_in_worker, function, part) for part in parts[1:]]
        try:
            return [function(parts[0]), *(future.result() for future in futures)]
        finally:
            wait(futures)


def _run_in_worker(function: Callable[[PartT], T], part: PartT) -> T:
    # Setting the number changes that of the process too. So this must not happen when the thread starts, which may be
    # after `run_parts` has set it back.
    if not getattr(_worker, "uses_one_thread", False):
        torch.set_num_threads(1)
        _worker.uses_one_thread = True
    return function(part)


def _pool(n_workers: int) -> ThreadPoolExecutor:
    # Threads do not survive a fork, as by nlp.pipe(n_process=2), so each process has its own.
    key = (os.getpid(), n_workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(n_workers, "encoder")
    return _pools[key]
