"""Work through the parts of a batch side by side, one part a thread.

Torch splits every single operation over its threads, which pays little for operations of less than a millisecond, and
nothing when the cores are busy. Documents do not depend on each other, so their parts need to meet only at the end.
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
# below this many tokens a part takes longer to hand over than it saves
MIN_TOKENS = 128

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def split_evenly(ends: Sequence[int]) -> list[slice]:
    """Slices of neighbouring docs with about as many tokens each, as many as torch has threads or fewer.

    ends (Sequence[int]): 0, and how many tokens there are up to the end of each doc.
    """
    n_docs, n_tokens = len(ends) - 1, ends[-1]
    n_parts = min(torch.get_num_threads(), n_tokens // MIN_TOKENS) if has_torch else 1
    cuts = [bisect_left(ends, n_tokens * i / n_parts) for i in range(1, n_parts)]
    return [slice(start, end) for start, end in pairwise([0, *cuts, n_docs]) if ends[start] < ends[end]]


def run_parts(function: Callable[[PartT], T], parts: Sequence[PartT]) -> list[T]:
    """The function's result for each part, each with one of torch's threads."""
    if not has_torch:
        return [function(part) for part in parts]
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        futures = [_pool(n_threads - 1).submit(function, part) for part in parts[1:]]
        return [function(parts[0]), *(future.result() for future in futures)]
    finally:
        torch.set_num_threads(n_threads)


def _pool(n_workers: int) -> ThreadPoolExecutor:
    # Threads do not survive a fork, as by nlp.pipe(n_process=2), so each process has its own.
    key = (os.getpid(), n_workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(n_workers, "encoder", torch.set_num_threads, (1,))
    return _pools[key]
