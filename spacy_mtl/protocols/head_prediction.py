"""Heads that say what stands in a doc where they write, in one of a few forms, so that a tool can show it and turn it
into JSON without knowing the head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from spacy.tokens import Doc, Span

# label, first token and end (exclusive)
SpanRowT = tuple[str, int, int]
# label, first token and end (exclusive) of the head, and of the tail
PairRowT = tuple[str, int, int, int, int]
# digits after the point that a probability is given with
DIGITS = 6


class Prediction(Protocol):
    """What a head predicted for a doc.

    form (str): How to show it. Tools know those of the classes below, and show others as they are.
    """

    form: ClassVar[str]

    def as_dict(self) -> dict[str, Any]:
        """Convert it to what JSON can hold."""


@runtime_checkable
class ShowsPrediction(Protocol):
    """A head whose predictions can be shown."""

    def prediction(self, doc: Doc) -> Prediction:
        """Read what the head predicted from a doc that it has annotated."""


@dataclass(frozen=True)
class Classes:
    """Classes of the whole doc.

    scores (Mapping[str, float]): The probability of each class.
    predicted (Sequence[str]): The classes that apply, the most probable ones first.
    """

    form: ClassVar[str] = "classes"
    scores: Mapping[str, float]
    predicted: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """The predicted classes, and the scores of all."""
        scores = {label: round(score, DIGITS) for label, score in self.scores.items()}
        return {"form": self.form, "predicted": list(self.predicted), "scores": scores}


@dataclass(frozen=True)
class TokenLabels:
    """A label for each token.

    labels (Sequence[str]): "" for a token without one, (n_tokens,).
    """

    form: ClassVar[str] = "tokens"
    labels: Sequence[str]

    @classmethod
    def read(cls, doc: Doc, attr_id: int) -> "TokenLabels":
        """Read an attribute whose values are strings."""
        strings, values = doc.vocab.strings, doc.to_array(attr_id).tolist()
        names = {value: strings[value] if value else "" for value in set(values)}
        return cls([names[value] for value in values])

    def as_dict(self) -> dict[str, Any]:
        """The labels."""
        return {"form": self.form, "labels": list(self.labels)}


@dataclass(frozen=True)
class LabelledSpans:
    """Spans with labels; they may overlap.

    spans (Sequence[SpanRowT]): The spans.
    scores (Sequence[float] | None): The probability of each span, if the doc holds it.
    """

    form: ClassVar[str] = "spans"
    spans: Sequence[SpanRowT]
    scores: Sequence[float] | None = None

    @classmethod
    def of_ents(cls, doc: Doc) -> "LabelledSpans":
        """Read `doc.ents`, and `ent._.score` where the pipeline keeps it."""
        scores = [ent._.score for ent in doc.ents] if Span.has_extension("score") else []
        known = scores if scores and all(isinstance(score, float) for score in scores) else None
        return cls([(ent.label_, ent.start, ent.end) for ent in doc.ents], known)

    @classmethod
    def of_group(cls, doc: Doc, key: str) -> "LabelledSpans":
        """Read `doc.spans[key]`, and the probabilities in `attrs["scores"]` if there are any."""
        group = doc.spans.get(key, ())
        scores = group.attrs.get("scores") if group else None
        return cls([(span.label_, span.start, span.end) for span in group], scores)

    def as_dict(self) -> dict[str, Any]:
        """A dict for each span."""
        rows: list[dict[str, Any]] = [{"label": label, "start": start, "end": end} for label, start, end in self.spans]
        return {"form": self.form, "spans": _with_scores(rows, self.scores)}


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of spans with labels, each from its head to its tail.

    pairs (Sequence[PairRowT]): The pairs.
    scores (Sequence[float] | None): The probability of each pair, if the doc holds it.
    """

    form: ClassVar[str] = "pairs"
    pairs: Sequence[PairRowT]
    scores: Sequence[float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """A dict for each pair."""
        rows: list[dict[str, Any]] = [
            {"label": label, "head": {"start": start, "end": end}, "tail": {"start": first, "end": last}}
            for label, start, end, first, last in self.pairs
        ]
        return {"form": self.form, "pairs": _with_scores(rows, self.scores)}


@dataclass(frozen=True)
class Tree:
    """A tree over the tokens of each sentence.

    heads (Sequence[int]): The index of each token's head, (n_tokens,); a root is its own head.
    labels (Sequence[str]): The label of the arc to its head, (n_tokens,).
    """

    form: ClassVar[str] = "tree"
    heads: Sequence[int]
    labels: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Heads and labels."""
        return {"form": self.form, "heads": list(self.heads), "labels": list(self.labels)}


@dataclass(frozen=True)
class Numbers:
    """Numbers of the whole doc by name, in the unit of the gold."""

    form: ClassVar[str] = "numbers"
    values: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The numbers."""
        return {"form": self.form, "values": {name: round(value, DIGITS) for name, value in self.values.items()}}


def _with_scores(rows: list[dict[str, Any]], scores: Sequence[float] | None) -> list[dict[str, Any]]:
    if scores is not None:
        for row, score in zip(rows, scores, strict=True):
            row["score"] = round(float(score), DIGITS)
    return rows
