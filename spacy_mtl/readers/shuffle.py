"""Shuffling a stream in a buffer."""

import random
from collections.abc import Iterable, Iterator
from typing import TypeVar

ItemT = TypeVar("ItemT")


def shuffled(items: Iterable[ItemT], size: int, rng: random.Random) -> Iterator[ItemT]:
    """The items in another order, each once. An item comes at most `size` positions earlier than before.

    size (int): Items held in memory; 0 or 1 keeps the order.
    """
    buffer: list[ItemT] = []
    for item in items:
        if len(buffer) < max(size, 1):
            buffer.append(item)
            continue
        index = rng.randrange(len(buffer))
        chosen, buffer[index] = buffer[index], item
        yield chosen
    if size > 1:
        rng.shuffle(buffer)
    yield from buffer
