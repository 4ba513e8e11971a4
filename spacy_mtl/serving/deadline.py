"""A limit on the time that a request takes."""

import asyncio
import sys
from collections.abc import Callable
from types import TracebackType

from .refusal import Refusal


class Deadline:
    """Within the block, raise a Refusal once the time is over. As `asyncio.timeout`, which Python 3.10 lacks:
    `asyncio.wait_for` makes a task, which is a good part of what a request costs.
    """

    def __init__(self, seconds: float, refusal: Callable[[], Refusal]) -> None:
        """seconds (float): From the beginning of the block. refusal (Callable): Makes what is raised."""
        self._seconds = seconds
        self._refusal = refusal
        self._is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = task.get_loop().call_later(self._seconds, self._end)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._is_over:
            return
        if sys.version_info >= (3, 11) and self._task.uncancel() > 0:  # someone else has cancelled it too
            return
        if kind is asyncio.CancelledError:
            raise self._refusal() from None

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()
