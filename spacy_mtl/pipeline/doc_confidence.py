"""What a component says of how sure it is, beside its annotation: probabilities and prediction sets, on docs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..annotation_scores import write_span_scores, write_token_scores
from ..network.run_heads import AllScoresT
from ..prediction_set import PredictionSet, write_sets
from ..protocols.arrays import AnnotationsT, FloatsT, ScoresT
from ..protocols.head import Head
from ..protocols.head_calibration import RanksOutcomes, SetRule, drop_calibration, set_rule_of
from ..protocols.head_confidence import Confident, RatedSpans, RatesSpans, RatesTokens
from .decoding import Decoding

# nats by which the log-probability of an outcome may differ with the way in which it is computed
ROUNDING = 1e-9


@dataclass(frozen=True)
class Beside:
    """What a component computes beside the annotation, in the same pass.

    scores (bool): The probabilities of entities and tokens.
    sets (bool): Prediction sets, where a calibration has a rule for them.
    confidences (bool): How sure each head is of its annotation of each doc.
    """

    scores: bool = False
    sets: bool = True
    confidences: bool = False


@dataclass
class DocConfidence:
    """How sure a component is of the annotation of a batch.

    spans (list[RatedSpans]): The entities of each head that writes `doc.ents`.
    tokens (dict[str, FloatsT]): By head the probability of each token's annotation, (n_tokens,).
    sets (dict[str, list[PredictionSet]]): By head the prediction set of each doc.
    confidences (dict[str, FloatsT]): By head the probability of each doc's annotation, (n_docs,). It is not written.
    """

    spans: list[RatedSpans] = field(default_factory=list)
    tokens: dict[str, FloatsT] = field(default_factory=dict)
    sets: dict[str, list[PredictionSet]] = field(default_factory=dict)
    confidences: dict[str, FloatsT] = field(default_factory=dict)

    def write(self, docs: Sequence[Doc], component: str) -> None:
        """Write all of it to the docs. component (str): Name of the component that says it."""
        for rated in self.spans:
            edges = np.searchsorted(rated.docs, np.arange(len(docs) + 1)).tolist()
            places = list(zip(rated.starts.tolist(), rated.ends.tolist(), strict=True))
            scores = rated.probabilities.tolist()
            for doc, start, end in zip(docs, edges, edges[1:], strict=False):
                # An entity that the doc had before stays, in place of one that was found.
                written = {(ent.start, ent.end) for ent in doc.ents}
                kept = [row for row in range(start, end) if places[row] in written]
                write_span_scores(doc, [places[row] for row in kept], [scores[row] for row in kept])
        if self.tokens:
            end = 0
            for doc in docs:
                start, end = end, end + len(doc)
                write_token_scores(doc, {head: values[start:end] for head, values in self.tokens.items()})
        for index, doc in enumerate(docs if self.sets else ()):
            write_sets(doc, component, {head: found[index] for head, found in self.sets.items()})


class Annotated(dict[str, AnnotationsT]):
    """The annotation of a batch by head, and how sure the component is of it.

    confidence (DocConfidence): What is written beside it.
    """

    def __init__(self, annotations: Mapping[str, AnnotationsT], confidence: DocConfidence) -> None:
        super().__init__(annotations)
        self.confidence = confidence


def confidence_of(
    heads: Mapping[str, Head],
    names: Sequence[str],
    docs: Sequence[Doc],
    decoding: Decoding,
    scores: AllScoresT,
    wanted: Beside,
) -> DocConfidence:
    """Compute what is written beside the annotation.

    names (Sequence[str]): The heads that write annotation.
    wanted (Beside): What to compute.
    """
    result = DocConfidence()
    for key in names:
        head: Any = heads[key]
        if wanted.scores and isinstance(head, RatesSpans):
            rated = head.rated_spans(decoding.revised(key, scores))
            result.spans += [] if rated is None else [rated]
        if wanted.scores and isinstance(head, RatesTokens):
            decided = decoding.decided(key, scores)
            result.tokens[key] = head.token_probabilities(docs, decided, decoding.annotation(key, scores))
        if wanted.confidences and isinstance(head, Confident):
            result.confidences[key] = head.confidence(docs, decoding.decided(key, scores))
        rule = set_rule_of(head.model) if wanted.sets else None
        if rule is not None and isinstance(head, RanksOutcomes):
            result.sets[key] = find_sets(head, rule, docs, decoding.decided(key, scores))
    return result


def find_sets(head: RanksOutcomes, rule: SetRule, docs: Sequence[Doc], scores: ScoresT) -> list[PredictionSet]:
    """Find the prediction set of each doc."""
    least = -rule.limit - ROUNDING if rule.method == "lac" else -np.inf
    found = []
    for ranked in head.rank(docs, scores, least=least, most=rule.most + 1):
        probabilities = np.exp(ranked.logs)
        size = len(probabilities)
        if rule.method == "aps":
            # the likeliest ones, with the one by which their sum reaches the limit
            size = int((np.cumsum(probabilities) - probabilities < rule.limit).sum())
        complete = size <= rule.most
        size = min(size, rule.most)
        is_certain = size == ranked.n_decided and (size > 0 or not head.one_holds)
        outcomes = tuple(tuple(one) if isinstance(one, list) else one for one in ranked.outcomes[:size])
        found.append(
            PredictionSet(
                outcomes, tuple(probabilities[:size].tolist()), rule.coverage, complete and is_certain, complete
            )
        )
    return found


def drop_calibrations(heads: Mapping[str, Head]) -> list[str]:
    """Remove the calibrations of heads whose networks change. RETURNS: the names of those that had one."""
    return [key for key, head in heads.items() if drop_calibration(head.model)]
