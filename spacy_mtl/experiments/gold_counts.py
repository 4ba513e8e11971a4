"""How much of each corpus each head can learn from, or be scored on."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.util import minibatch

from ..pipeline.head_views import HeadViews, check_head_names
from ..pipeline.initialization import collect_labels
from ..protocols.head import Head
from ..protocols.head_labels import CountsGold, HasLabels
from ..readers.multi_corpus import MultiCorpus
from ..readers.source import Source

CHUNK = 500
ReaderT = Callable[[Language], Iterable[Example]]


@dataclass
class GoldCounts:
    """One corpus. The first two counters are by the set of heads that a doc carries gold for.

    docs (Counter[frozenset[str]]): Number of docs.
    words (Counter[frozenset[str]]): Number of their tokens.
    units (Counter[str]): Number of annotated units by head, docs or tokens; counted for training corpora alone.
    """

    docs: Counter[frozenset[str]] = field(default_factory=Counter)
    words: Counter[frozenset[str]] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)

    def docs_for(self, heads: Iterable[str]) -> int:
        """Number of docs with gold for at least one of these heads."""
        wanted = set(heads)
        return sum(count for found, count in self.docs.items() if found & wanted)


def count_corpora(
    reader: Any, nlp: Language, heads: Mapping[str, Head], *, name: str, collect: bool = False
) -> dict[str, GoldCounts]:
    """Read a split once, unsampled. RETURNS: corpus -> counts; a plain reader is one corpus.

    name (str): Name of the split, for the corpus of a plain reader and for messages.
    collect (bool): This is a training corpus: the heads take new labels from it first, and annotated units are counted.
    RAISES ValueError: A corpus is broken, missing or empty, or names heads that do not exist.
    """
    if isinstance(reader, MultiCorpus):
        return {key: count_corpus(source(nlp), heads, collect=collect) for key, source in reader.sources.items()}
    return {name: count_corpus(Source(name, reader)(nlp), heads, collect=collect)}


def count_corpus(examples: Iterable[Example], heads: Mapping[str, Head], *, collect: bool) -> GoldCounts:
    """Count the docs of one corpus, some at a time."""
    counts = GoldCounts()
    for chunk in map(list, minibatch(examples, CHUNK)):
        check_head_names(heads, chunk)
        views = HeadViews(chunk)
        if collect:
            for key, head in heads.items():
                if isinstance(head, HasLabels):
                    collect_labels(head, views.of(key))
        seen = [views.of(key) for key in heads]
        for place, eg in enumerate(chunk):
            found = frozenset(
                key for (key, head), view in zip(heads.items(), seen, strict=True) if head.has_gold(view[place])
            )
            if collect:
                counts.units.update({key: count_units(heads[key], views.of(key)[place]) for key in found})
            counts.docs[found] += 1
            counts.words[found] += len(eg.predicted)
    return counts


def count_units(head: Head, example: Example) -> int:
    """Number of annotated units of a doc with the head's gold; 1 for a head that does not count them."""
    return head.count_gold(example.reference, Counter()) if isinstance(head, CountsGold) else 1


def docs_with_gold(counts: Mapping[str, GoldCounts], heads: Iterable[str]) -> int:
    """Number of docs of all corpora with gold for at least one of these heads."""
    wanted = list(heads)
    return sum(corpus.docs_for(wanted) for corpus in counts.values())
