"""The queue: what is read together, in which order, and what happens to what nobody waits for."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spacy_mtl.serving.micro_batches import BATCH_CHARACTERS, MicroBatches
from spacy_mtl.serving.refusal import Refusal


class Reader:
    """Turns items into upper case, and keeps the batches."""

    def __init__(self):
        self.batches = []
        self.threads = set()

    def __call__(self, items):
        self.batches.append(list(items))
        self.threads.add(threading.get_ident())
        return [ValueError(item) if item == "bad" else item.upper() for item in items]


def run(talk, *, batch_size=4, delay=0.02, limit=100):
    """Let a function use a queue. RETURNS: the batches, and what the function returned."""
    reader = Reader()

    async def main():
        with ThreadPoolExecutor(1) as executor:
            queue = MicroBatches(reader, executor, batch_size=batch_size, delay=delay, limit=limit)
            queue.start()
            found = await talk(queue)
            await queue.stop()
            return found

    found = asyncio.run(main())
    assert threading.get_ident() not in reader.threads
    return reader.batches, found


def submit(queue, *items, size=1):
    return queue.submit(items, [size] * len(items))


def test_items_of_several_requests_are_read_together():
    async def talk(queue):
        return await asyncio.gather(submit(queue, "a", "b"), submit(queue, "c"), submit(queue))

    batches, found = run(talk)
    assert batches == [["a", "b", "c"]]
    assert found == [["A", "B"], ["C"], []]


def test_a_full_batch_does_not_wait():
    async def talk(queue):
        return await asyncio.wait_for(submit(queue, *"abcdefgh"), 5)

    batches, found = run(talk, delay=60.0)
    assert batches == [list("abcd"), list("efgh")]
    assert found == list("ABCDEFGH")


def test_the_next_batch_gathers_while_one_is_read():
    async def talk(queue):
        first = asyncio.create_task(submit(queue, *"abcd"))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(submit(queue, item)) for item in "efg"]
        await asyncio.gather(first, *rest)

    batches, _ = run(talk)
    assert batches == [list("abcd"), list("efg")]


def test_long_items_make_small_batches():
    async def talk(queue):
        return await submit(queue, *"abc", size=BATCH_CHARACTERS // 2)

    assert run(talk)[0] == [["a", "b"], ["c"]]

    async def talk_long(queue):
        return await submit(queue, *"ab", size=10 * BATCH_CHARACTERS)

    assert run(talk_long)[0] == [["a"], ["b"]]


def test_an_error_is_that_of_its_request():
    async def talk(queue):
        return await asyncio.gather(submit(queue, "a"), submit(queue, "b", "bad"), return_exceptions=True)

    batches, (good, bad) = run(talk)
    assert batches == [["a", "b", "bad"]]
    assert good == ["A"]
    assert isinstance(bad, ValueError)


def test_what_nobody_waits_for_is_not_read():
    async def talk(queue):
        gone = asyncio.create_task(submit(queue, "x", "y"))
        await asyncio.sleep(0)
        gone.cancel()
        return await submit(queue, "a")

    assert run(talk)[0] == [["a"]]

    async def talk_of_none(queue):
        gone = asyncio.create_task(submit(queue, "x", "y"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0.1)
        return await submit(queue, "a")

    assert run(talk_of_none)[0] == [["a"]]


def test_a_full_queue_is_refused_whole():
    async def talk(queue):
        first = asyncio.create_task(submit(queue, *"abc"))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="3 texts wait already, of at most 5"):
            await submit(queue, *"xyz")
        return await asyncio.gather(first, submit(queue, *"de"))

    batches, _ = run(talk, limit=5, batch_size=10)
    assert batches == [list("abcde")]


def test_stop_reads_what_waits():
    async def talk(queue):
        waiting = [asyncio.create_task(submit(queue, item)) for item in "abcdef"]
        await asyncio.sleep(0)
        await queue.stop()
        assert len(queue) == 0
        return await asyncio.gather(*waiting)

    batches, found = run(talk, batch_size=2, delay=60.0)
    assert found == [[item.upper()] for item in "abcdef"]
    assert batches == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_many_requests_come_back_in_their_order():
    async def talk(queue):
        async def send(number):
            return await submit(queue, *(f"{number}-{place}" for place in range(number % 7)))

        return await asyncio.gather(*map(send, range(200)))

    batches, found = run(talk, batch_size=16, delay=0.001, limit=10_000)
    assert found == [[f"{number}-{place}" for place in range(number % 7)] for number in range(200)]
    assert sum(map(len, batches)) == sum(number % 7 for number in range(200))
    assert max(map(len, batches)) == 16
