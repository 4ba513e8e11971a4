"""Relations of a doc, as people read them: `spacy_mtl.relations(doc)` or `doc._.relations`.

They are stored in a span group, which `DocBin` keeps: the arguments in pairs [head0, tail0, head1, tail1, …], one label
for each pair in `attrs["labels"]`, and its probability in `attrs["scores"]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span, SpanGroup

# the span group that relations are in, and the name of the extension
RELATIONS = "relations"
# label of a pair of which it is not known how it is related: it is missing gold
UNKNOWN = ""


@dataclass(frozen=True)
class Relation:
    """A directed, labelled relation between two entities: Anna (head) works_for (label) Siemens (tail).

    head (Span): The first argument.
    tail (Span): The second argument.
    label (str): The label.
    score (float): Its probability; 1.0 where none is stored, as in gold.
    """

    head: Span
    tail: Span
    label: str
    score: float = 1.0

    def __str__(self) -> str:
        return f"{self.head.text} -[{self.label}]-> {self.tail.text}"


def relations(doc: Doc, key: str = RELATIONS) -> list[Relation]:
    """Get the relations of a doc.

    key (str): The span group that they are in.
    RAISES ValueError: The group is not in the form of relations.
    RETURNS (list[Relation]): In the order of the group; empty if there is no such group.
    """
    if key not in doc.spans:
        return []
    group = doc.spans[key]
    spans, labels, scores = list(group), group.attrs.get("labels", []), group.attrs.get("scores")
    if len(spans) % 2 or len(labels) * 2 != len(spans):
        raise ValueError(
            f"doc.spans[{key!r}] has {len(spans)} spans and {len(labels)} labels in attrs['labels'], expected two "
            "spans, head and tail, for each label"
        )
    if scores is None:
        scores = [1.0] * len(labels)
    elif len(scores) != len(labels):
        raise ValueError(f"doc.spans[{key!r}] has {len(labels)} labels and {len(scores)} scores, expected as many")
    columns = (spans[::2], spans[1::2], labels, map(float, scores))
    return [Relation(*row) for row in zip(*columns, strict=True)]


def set_relations(doc: Doc, found: Sequence[Relation], key: str = RELATIONS, *, with_scores: bool = True) -> None:
    """Write relations to a doc, in the place of those that it has. An empty list says that there are none.

    key (str): The span group to write.
    with_scores (bool): Whether to store the probabilities, which gold does not have.
    """
    spans = [span for relation in found for span in (relation.head, relation.tail)]
    scores = [relation.score for relation in found] if with_scores else None
    set_group(doc, spans, [relation.label for relation in found], scores, key)


def set_group(
    doc: Doc, spans: Sequence[Span], labels: Sequence[str], scores: Sequence[float] | None, key: str = RELATIONS
) -> None:
    """Write relations to a doc in the form in which they are stored, in the place of those that it has.

    spans (Sequence[Span]): The arguments: head and tail of the first relation, of the second one, …
    labels (Sequence[str]): One for each two spans.
    scores (Sequence[float] | None): Probabilities, one for each label; None to store none.
    key (str): The span group to write.
    """
    attrs = {"labels": labels} if scores is None else {"labels": labels, "scores": scores}
    doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)


def register_extension() -> None:
    """Register `doc._.relations`, unless an extension has that name already."""
    if not Doc.has_extension(RELATIONS):
        Doc.set_extension(RELATIONS, getter=relations)
