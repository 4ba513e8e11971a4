"""Relations between spans of a doc: how they are stored, and as objects.

`doc.spans["relations"]` holds the arguments in pairs, `[head0, tail0, head1, tail1, …]`, and its `attrs` a label and a
score of each pair. Span groups are stored by DocBin without user data. Without the group, relations are not annotated;
an empty group means that there are none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span, SpanGroup

RELATIONS = "relations"
# all entities of a doc, where doc.ents can't hold those that overlap
ENTITIES = "entities"


@dataclass(frozen=True)
class Relation:
    """A directed relation between two spans of one doc.

    head (Span): The first argument.
    tail (Span): The second argument.
    label (str): What holds between them.
    score (float): The probability of the relation; 1.0 in gold.
    """

    head: Span
    tail: Span
    label: str
    score: float = 1.0


def relations(doc: Doc) -> list[Relation]:
    """Return the relations of a doc, in the order in which they are stored. Empty if the doc is not annotated.

    Raises a ValueError if the arguments are not in pairs, or if labels or scores are missing for some pairs.
    """
    if RELATIONS not in doc.spans:
        return []
    group = doc.spans[RELATIONS]
    spans, labels = list(group), group.attrs.get("labels", [])
    scores = group.attrs.get("scores", [1.0] * len(labels))
    if not len(spans) == 2 * len(labels) == 2 * len(scores):
        raise ValueError(
            f"doc.spans['{RELATIONS}'] has {len(spans)} spans, {len(labels)} labels and {len(scores)} scores; expected "
            f"two spans, one label and one score for each relation, in the doc {doc.text[:60]!r}"
        )
    pairs = zip(spans[::2], spans[1::2], strict=True)
    return [Relation(*pair, label, score) for pair, label, score in zip(pairs, labels, scores, strict=True)]


def set_relations(doc: Doc, found: Sequence[Relation]) -> None:
    """Write relations to a doc, in place of those that it has. None at all is annotation too."""
    spans = [span for relation in found for span in (relation.head, relation.tail)]
    attrs = {"labels": [relation.label for relation in found], "scores": [relation.score for relation in found]}
    doc.spans[RELATIONS] = SpanGroup(doc, name=RELATIONS, spans=spans, attrs=attrs)


def entities(doc: Doc) -> Iterable[Span]:
    """Return all entities of a doc: those of `doc.spans["entities"]`, which may overlap, if it has them, else
    `doc.ents`.
    """
    return doc.spans.get(ENTITIES, doc.ents)
