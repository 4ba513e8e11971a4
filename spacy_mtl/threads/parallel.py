"""Compute the parts of a batch side by side, each on one of torch's threads.

By itself, torch splits every single operation over its threads. That gains little for operations of less than a
millisecond, and loses a lot where other programs use the cores, since each operation waits for its slowest thread. Docs
do not depend on each other, so the threads have to wait for each other only once, at the end of the batch.
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
# With fewer tokens than this, another thread costs more time than it saves.
PART_TOKENS = 512

_worker = local()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def split_evenly(ends: Sequence[int]) -> list[slice]:
    """Cut a batch into slices of neighbouring docs with about equally many tokens, at most one for each torch thread.

    ends (Sequence[int]): 0, then the number of tokens up to the end of each doc.

    Four docs of 512 tokens each have ends = [0, 512, 1024, 1536, 2048]; with two threads the slices are the docs 0 and
    1 and the docs 2 and 3.
    """
    n_tokens = ends[-1]
    n_parts = min(THREADS.count(), n_tokens // PART_TOKENS) if has_torch else 1
    cuts = [bisect_left(ends, n_tokens * i / n_parts) for i in range(1, n_parts)]
    return [slice(start, end) for start, end in pairwise([0, *cuts, len(ends) - 1]) if ends[start] < ends[end]]


def run_parts(function: Callable[[PartT], T], parts: Sequence[PartT]) -> list[T]:
    """Apply a function to each part, in threads if there are several parts. RETURNS: The results in order."""
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
    # Set here, within `run_parts`, since it changes the number of the process too. A new thread may start so late that
    # `run_parts` has restored that number already.
    if not getattr(_worker, "uses_one_thread", False):
        torch.set_num_threads(1)
        _worker.uses_one_thread = True
    return function(part)


def _pool(n_workers: int) -> ThreadPoolExecutor:
    # By process, since threads do not survive a fork, as by nlp.pipe(n_process=2).
    key = (os.getpid(), n_workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(n_workers, "encoder")
    return _pools[key]
