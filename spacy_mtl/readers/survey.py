"""Reading all corpora once before the training: what is broken or empty shows, docs are counted, labels are found."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from spacy.attrs import DEP, ENT_TYPE, MORPH, POS, TAG
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from .source import Source

ATTRS = [ENT_TYPE, TAG, POS, MORPH, DEP]


@dataclass
class Survey:
    """What reading everything has found.

    sizes (dict[str, int]): Docs in each corpus.
    cover (list[Example]): Some examples of each corpus in which all labels of all corpora occur.
    """

    sizes: dict[str, int]
    cover: list[Example]


def survey(sources: Iterable[Source], nlp: Language) -> Survey:
    """Read each corpus once. Holds the examples of the cover only: memory grows with the labels, not with the docs."""
    sizes: dict[str, int] = {}
    cover: list[Example] = []
    for source in sources:
        chosen: list[tuple[Example, set[object]]] = []
        seen: set[object] = set()
        for eg in source(nlp):
            sizes[source.name] = sizes.get(source.name, 0) + 1
            labels = labels_of(eg.reference)
            if not chosen or not labels <= seen:
                seen |= labels
                chosen.append((eg, labels))
        cover.extend(_needed(chosen))
    return Survey(sizes, cover)


def labels_of(doc: Doc) -> set[object]:
    """The labels of all kinds, each with its kind."""
    rows = doc.to_array(ATTRS)
    found: set[object] = {(attr, value) for attr, row in zip(ATTRS, rows.T, strict=True) for value in np.unique(row)}
    found.update(("cats", key, value > 0) for key, value in doc.cats.items())
    found.update(("spans", key, span.label) for key, group in doc.spans.items() for span in group)
    return found


def _needed(chosen: list[tuple[Example, set[object]]]) -> list[Example]:
    """Leave out those whose labels all occur in later ones too, but for one at least."""
    counts = Counter(label for _, labels in chosen for label in labels)
    kept = []
    for eg, labels in chosen:
        if all(counts[label] > 1 for label in labels):
            counts.subtract(labels)
        else:
            kept.append(eg)
    return kept or [eg for eg, _ in chosen[:1]]
