"""The presets of span classifiers and relation extractors, whose gold is in `doc.spans`."""

from collections.abc import Mapping, Sequence

from spacy.tokens import Doc

from ...protocols.found_annotation import FindsSpans
from ...protocols.head import Head
from ...protocols.head_preset import Links, Offer
from .preset import Preset

# attribute of a group that holds relations: the labels of its pairs of spans
LABELS = "labels"


class Spans(Preset):
    """Spans that may overlap, from a span group."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head for each span group with labelled spans."""
        offers = []
        for key in group_keys(docs, relations=False):
            groups = [doc.spans[key] for doc in docs if key in doc.spans]
            if any(span.label_ for group in groups for span in group):
                overlap = sum(group.has_overlap for group in groups)
                why = f"{len(groups):,} docs have doc.spans[{key!r}], in {overlap:,} of them spans overlap"
                offers.append(Offer(key.replace(".", "_"), why, {"spans_key": key}))
        return offers


class Relations(Preset):
    """Relations between entities, from a span group."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head for each span group with relations."""
        offers = []
        for key in group_keys(docs, relations=True):
            numbers = [len(doc.spans[key]) // 2 for doc in docs if key in doc.spans]
            why = f"{len(numbers):,} docs have doc.spans[{key!r}], with {sum(numbers):,} relations"
            offers.append(Offer(key.replace(".", "_"), why, {} if key == "relations" else {"key": key}))
        return offers

    def links(self, docs: Sequence[Doc], others: Mapping[str, Head], *, pretrained: bool) -> Links:
        """Relate the entities that another head writes to `doc.ents`."""
        for name, head in others.items():
            if isinstance(head, FindsSpans) and "doc.ents" in head.writes:
                return Links({"depends_on": name}, f"it relates the entities that {name} finds")
        return Links()


def group_keys(docs: Sequence[Doc], *, relations: bool) -> list[str]:
    """The keys of span groups that hold relations, or of the others, in alphabetical order."""
    found: dict[str, bool] = {}
    for doc in docs:
        for key, group in doc.spans.items():
            found[key] = found.get(key, False) or LABELS in group.attrs
    return sorted(key for key, has_labels in found.items() if has_labels == relations)


spancat = Spans(head="spacy_mtl.SpanClassifier.v1", what="labelled spans, which may overlap", unit="tokens")
relations = Relations(head="spacy_mtl.RelationExtractor.v1", what="relations between entities", unit="tokens")
