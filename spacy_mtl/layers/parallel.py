"""Work through the parts of a batch side by side, each with one of torch's threads.

Torch on its own splits every single operation over its threads. That pays little for operations of less than a
millisecond, and costs much where other programs use the cores, since each operation waits for its slowest thread.
Documents do not depend on each other, so their parts need to meet only at the end.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from thinc.compat import has_torch, torch

T = TypeVar("T")
PartT = TypeVar("PartT")
# fewer tokens than this take longer to hand to another thread than it saves
PART_TOKENS = 512

# this process, and forks that compute on one thread since
_own_processes = {os.getpid()}
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def split_evenly(ends: Sequence[int]) -> list[slice]:
    """Slices of neighbouring docs with about as many tokens each, at most one for each of torch's threads.

    ends (Sequence[int]): 0, and for each doc how many tokens there are up to its end.
    """
    n_tokens = ends[-1]
    n_parts = min(torch.get_num_threads(), n_tokens // PART_TOKENS) if has_torch else 1
    cuts = [bisect_left(ends, n_tokens * i / n_parts) for i in range(1, n_parts)]
    return [slice(start, end) for start, end in pairwise([0, *cuts, len(ends) - 1]) if ends[start] < ends[end]]


def run_parts(function: Callable[[PartT], T], parts: Sequence[PartT]) -> list[T]:
    """The function's result for each part, in order."""
    if not has_torch:
        return [function(part) for part in parts]
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if n_threads == 1 or len(parts) == 1:
            return [function(part) for part in parts]
        futures = [_pool(n_threads - 1).submit(function, part) for part in parts[1:]]
        return [function(parts[0]), *(future.result() for future in futures)]
    finally:
        torch.set_num_threads(n_threads)


def use_one_thread_after_fork() -> None:
    """To call before torch computes: it waits for ever for the threads of a process that it was forked from, as by
    nlp.pipe(n_process=2).
    """
    if os.getpid() not in _own_processes:
        torch.set_num_threads(1)
        _own_processes.add(os.getpid())


def _pool(n_workers: int) -> ThreadPoolExecutor:
    # Threads do not survive a fork, as by nlp.pipe(n_process=2), so each process has its own.
    key = (os.getpid(), n_workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(n_workers, "encoder", torch.set_num_threads, (1,))
    return _pools[key]
