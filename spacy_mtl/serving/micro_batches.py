"""A queue of texts from many requests, which are read together: one call of a pipeline for each batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .refusal import too_busy

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
# A batch of long texts is smaller, so that it does not keep all others waiting.
BATCH_CHARACTERS = 100_000


@dataclass(slots=True)
class Job(Generic[AnswerT]):
    """What a request waits for.

    answers (list): An answer for each item, or what was raised.
    missing (int): Number of answers that are still to come.
    """

    done: "asyncio.Future[list[AnswerT]]"
    answers: list[AnswerT | Exception | None]
    missing: int

    def answer(self, place: int, answer: AnswerT | Exception) -> None:
        """Take an answer. With the last one, the request goes on."""
        self.answers[place] = answer
        self.missing -= 1
        if self.missing or self.done.done():
            return
        failed = next((one for one in self.answers if isinstance(one, Exception)), None)
        if failed is not None:
            self.done.set_exception(failed)
        else:
            self.done.set_result(self.answers)  # type: ignore[arg-type]


@dataclass(slots=True)
class Waiting(Generic[ItemT, AnswerT]):
    """An item in the queue.

    size (int): Its number of characters.
    since (float): When it came.
    place (int): Its place in the request.
    """

    item: ItemT
    size: int
    since: float
    job: Job[AnswerT]
    place: int


@dataclass
class MicroBatches(Generic[ItemT, AnswerT]):
    """The queue. All methods belong to the event loop; only `read` runs in the executor, one batch at a time.

    read (Callable): Reads a batch. It returns an answer for each item, or the exception that it raised.
    executor (Executor): Where it runs.
    batch_size (int): Maximum number of items in a batch.
    delay (float): Seconds that an item waits for others. While a batch is read, the next one gathers.
    limit (int): Maximum number of items that wait.
    seen (Callable): Is told the size of each batch.
    """

    read: Callable[[Sequence[ItemT]], Sequence[AnswerT | Exception]]
    executor: Executor
    batch_size: int
    delay: float
    limit: int
    seen: Callable[[int], None] = lambda size: None
    _queue: deque[Waiting[ItemT, AnswerT]] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _full: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None

    def __len__(self) -> int:
        """The number of items that wait."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.get_running_loop().create_task(self._read_all())

    async def stop(self) -> None:
        """Read what waits, and end."""
        while self._queue and self._task is not None and not self._task.done():
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def submit(self, items: Sequence[ItemT], sizes: Sequence[int]) -> list[AnswerT]:
        """Let items be read, and wait for the answers. If the caller is cancelled, those that still wait are dropped.

        sizes (Sequence[int]): Their numbers of characters.
        RAISES Refusal: The queue has no room for them.
        """
        if not items:
            return []
        if len(self._queue) + len(items) > self.limit:
            raise too_busy(f"{len(self._queue)} texts wait already, of at most {self.limit}; try again later")
        loop = asyncio.get_running_loop()
        job: Job[AnswerT] = Job(loop.create_future(), [None] * len(items), len(items))
        now = loop.time()
        self._queue.extend(
            Waiting(item, size, now, job, place) for place, (item, size) in enumerate(zip(items, sizes, strict=True))
        )
        self._arrived.set()
        if len(self._queue) >= self.batch_size:
            self._full.set()
        return await job.done

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await self._gather(loop)
            batch = self._take()
            if batch:
                self.seen(len(batch))
                answers = await loop.run_in_executor(self.executor, self._read_batch, batch)
                for one, answer in zip(batch, answers, strict=True):
                    one.job.answer(one.place, answer)

    async def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the batch is full, or its first item has waited long enough."""
        rest = self._queue[0].since + self.delay - loop.time()
        if rest > 0 and not self._full.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._full.wait(), rest)

    def _take(self) -> list[Waiting[ItemT, AnswerT]]:
        """The next batch, without items that nobody waits for any more."""
        batch: list[Waiting[ItemT, AnswerT]] = []
        characters = 0
        while self._queue and len(batch) < self.batch_size:
            if batch and characters + self._queue[0].size > BATCH_CHARACTERS:
                break
            one = self._queue.popleft()
            if not one.job.done.done():
                batch.append(one)
                characters += one.size
        if not self._queue:
            self._arrived.clear()
        if len(self._queue) < self.batch_size:
            self._full.clear()
        return batch

    def _read_batch(self, batch: Sequence[Waiting[ItemT, AnswerT]]) -> Sequence[AnswerT | Exception]:
        return self.read([one.item for one in batch])
