"""Batches that contain docs of one corpus only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from spacy.training import Example

from ..origin import corpus_of

LengthT = Callable[[Example], int]


def make_batch_by_corpus_v1(
    size: Any, tolerance: float = 0.2, discard_oversize: bool = False, get_length: LengthT | None = None
) -> Callable[[Iterable[Example]], Iterator[list[Example]]]:
    """Build a batcher that puts docs of only one corpus in a batch, sized by words like `spacy.batch_by_words.v1`.

    Batches are yielded in the order in which they fill up, so the shares of the corpora follow the sampler. At the end
    of a pass each corpus yields the docs that it has left. Docs without a corpus count as one corpus.

    size (int | Sequence[int]): Number of words in a batch; a sequence or schedule gives the sizes of successive
        batches.
    tolerance (float): Share by which a doc may exceed `size` before it counts as oversized.
    discard_oversize (bool): Leave out oversized docs, instead of giving each a batch of its own.
    get_length (Callable[[Example], int] | None): Function that gives the length of an example; by default its number of
        tokens.
    """
    if isinstance(size, int) and size < 1:
        raise ValueError(f"spacy_mtl.batch_by_corpus.v1: size is {size}; it must be at least 1")
    if not tolerance >= 0:
        raise ValueError(f"spacy_mtl.batch_by_corpus.v1: tolerance is {tolerance}; it must be at least 0")

    def batch(examples: Iterable[Example]) -> Iterator[list[Example]]:
        return batch_by_corpus(
            examples, size, tolerance=tolerance, discard_oversize=discard_oversize, get_length=get_length or len
        )

    return batch


def batch_by_corpus(
    examples: Iterable[Example],
    size: int | Sequence[int],
    *,
    tolerance: float,
    discard_oversize: bool,
    get_length: LengthT,
) -> Iterator[list[Example]]:
    """Yield the batches. At most one incomplete batch of each corpus is held in memory.

    Arguments as for `make_batch_by_corpus_v1`.
    """
    sizes = repeat(size) if isinstance(size, int) else iter(size)
    target = next(sizes)
    open_batches: dict[str | None, list[Example]] = {}
    words: dict[str | None, int] = {}
    for eg in examples:
        corpus, length = corpus_of(eg.reference), get_length(eg)
        if length > target * (1 + tolerance):
            if not discard_oversize:
                yield [eg]
            continue
        if corpus in open_batches and words[corpus] + length > target:
            yield open_batches.pop(corpus)
            words[corpus] = 0
            target = next(sizes)
        open_batches.setdefault(corpus, []).append(eg)
        words[corpus] = words.get(corpus, 0) + length
    yield from open_batches.values()
