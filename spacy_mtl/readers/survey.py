"""Read all corpora once before the training, to find broken and empty ones, count docs, and find all labels."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..protocols.head import Head
from ..protocols.head_labels import HasLabels
from .source import Source


@dataclass
class Survey:
    """What was found in all corpora.

    sizes (dict[str, int]): Number of docs in each corpus.
    cover (list[Example]): Examples of each corpus that together have all labels of all corpora.
    """

    sizes: dict[str, int]
    cover: list[Example]


def survey(sources: Iterable[Source], nlp: Language) -> Survey:
    """Read each corpus once. Only the cover is held, so memory grows with the labels, not with the docs."""
    sizes: dict[str, int] = {}
    cover: list[Example] = []
    for source in sources:
        chosen: list[tuple[Example, set[object]]] = []
        seen: set[object] = set()
        heads = source.learners(nlp)
        for eg in source(nlp):
            sizes[source.name] = sizes.get(source.name, 0) + 1
            labels = labels_of(eg.reference, heads)
            if not chosen or not labels <= seen:
                seen |= labels
                chosen.append((eg, labels))
        cover.extend(_needed(chosen))
    return Survey(sizes, cover)


def labels_of(doc: Doc, heads: Mapping[str, Head]) -> set[object]:
    """Return the labels that the heads find in a gold doc, each with the name of its head."""
    able = {key: head for key, head in heads.items() if isinstance(head, HasLabels)}
    return {(key, label) for key, head in able.items() for label in head.gold_labels(doc)}


def _needed(chosen: list[tuple[Example, set[object]]]) -> list[Example]:
    """Drop examples whose labels all occur in later ones too, but keep at least one example."""
    counts = Counter(label for _, labels in chosen for label in labels)
    kept = []
    for eg, labels in chosen:
        if all(counts[label] > 1 for label in labels):
            counts.subtract(labels)
        else:
            kept.append(eg)
    return kept or [eg for eg, _ in chosen[:1]]
