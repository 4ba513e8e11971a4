"""Calibrate the heads of a pipeline on gold docs: temperatures, prediction sets, and how far both can be believed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.training import Example

from ..pipeline.doc_confidence import drop_calibrations, find_sets
from ..pipeline.multitask import Multitask
from ..pipeline.scoring import verdicts_of
from ..pipeline.shown_calibration import show_calibrations
from ..protocols.arrays import FloatsT
from ..protocols.head import Head
from ..protocols.head_calibration import ATTR, Evidence, GivesEvidence, RanksOutcomes, SetRule
from ..protocols.head_confidence import Confident, Thresholded
from .calibration_settings import CalibrationSettings
from .conformal import conformal_limit, needed_docs, truth_scores
from .fit_temperature import fit_temperature
from .gold_scores import Batch, scored_batches, split
from .label_threshold import LabelThreshold
from .measures import Measures, measure
from .selective import RiskPoint, least_confidence, risk_curve

# by unit, one for each batch
EvidenceT = dict[str, list[Evidence]]
NO_SETS = "no prediction sets: a {} ranks no outcomes of whole docs"


@dataclass
class SetSizes:
    """The prediction sets of the docs on which their limit was found.

    mean_size (float): Mean number of outcomes. answered (float): Share of docs whose set is the annotation.
    empty (float): Share of docs for which nothing is likely enough. incomplete (float): Share of docs for which more is
    likely enough than is listed.
    """

    mean_size: float
    answered: float
    empty: float
    incomplete: float


@dataclass
class Part:
    """One kind of probability that a head gives.

    temperature (float): Its temperature.
    before, after (Measures): On the docs that the temperature was not fitted on.
    """

    temperature: float
    before: Measures
    after: Measures


@dataclass
class HeadCalibration:
    """What was found for a head.

    parts (dict[str, Part]): By what probabilities are given for, such as "tokens".
    n_fit, n_held_out (int): Number of docs with gold for temperatures and for the rest.
    rule (SetRule | None): The rule for prediction sets. sizes (SetSizes | None): What comes of it.
    risk (list[RiskPoint]): The risk of the most certain docs. threshold (LabelThreshold | None): What follows from it
        for labels.
    notes (list[str]): What could not be done, and why.
    """

    parts: dict[str, Part]
    n_fit: int
    n_held_out: int
    rule: SetRule | None = None
    sizes: SetSizes | None = None
    risk: list[RiskPoint] = field(default_factory=list)
    threshold: LabelThreshold | None = None
    notes: list[str] = field(default_factory=list)

    def saved(self) -> dict[str, Any]:
        """What is kept in the head's network."""
        kept: dict[str, Any] = {
            "temperatures": {unit: part.temperature for unit, part in self.parts.items()},
            "measures": {
                unit: {"before": asdict(part.before), "after": asdict(part.after)} for unit, part in self.parts.items()
            },
            "n_fit": self.n_fit,
            "n_held_out": self.n_held_out,
            "risk": [asdict(point) for point in self.risk],
        }
        if self.threshold is not None:
            kept["labels"] = asdict(self.threshold)
        if self.rule is not None and self.sizes is not None:
            kept |= {"sets": asdict(self.rule), "sizes": asdict(self.sizes)}
        return kept


@dataclass
class Calibrated:
    """heads (dict[str, HeadCalibration]): By name. skipped (dict[str, str]): Other heads, and why they were skipped."""

    heads: dict[str, HeadCalibration] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def calibrate(
    nlp: Language,
    component: str,
    examples: Sequence[Example],
    settings: CalibrationSettings,
    *,
    held_out: Sequence[Example] | None = None,
) -> Calibrated:
    """Fit temperatures and, if a coverage is asked for, the limits of prediction sets, and keep them in the heads.
    Annotation stays what it is.

    nlp (Language): The pipeline, which is changed, and whose meta gets the measures.
    component (str): The component with the heads.
    examples (Sequence[Example]): Gold docs that the heads were not trained on.
    held_out (Sequence[Example] | None): Gold docs for sets and measures; None takes a part of `examples` for them.
    RAISES ValueError: No head has both gold and probabilities, or a head has too few docs for the coverage. Nothing has
        changed then.
    """
    pipe: Any = nlp.get_pipe(component)
    heads: dict[str, Head] = dict(pipe.heads)
    fit, rest = split(examples, settings.share, settings.seed) if held_out is None else (examples, held_out)
    able, skipped = able_heads(heads, fit, rest)
    if not able:
        raise ValueError(
            f"component {component!r}: no head can be calibrated. "
            + "; ".join(f"head {key!r}: {reason}" for key, reason in skipped.items())
        )
    before = {key: head.model.attrs.get(ATTR) for key, head in heads.items()}
    try:
        drop_calibrations(heads)
        result = Calibrated(skipped=skipped)
        temperatures = fit_all(nlp, component, fit, able, result)
        for key in temperatures:
            heads[key].model.attrs[ATTR] = {"temperatures": temperatures[key], **threshold_of(heads[key])}
        held = HeldOut.of(nlp, component, rest, {key: able[key] for key in temperatures})
        n_fit = {key: sum(head.has_gold(eg) for eg in fit) for key, head in able.items()}
        for key, fitted in temperatures.items():
            found = held.judge(key, heads[key], fitted, n_fit[key], settings)
            if isinstance(found, str):
                result.skipped[key] = found
                drop_calibrations({key: heads[key]})
            else:
                result.heads[key] = found
                heads[key].model.attrs[ATTR] = found.saved() | threshold_of(heads[key])
        if not result.heads:
            raise ValueError(f"component {component!r}: no head can be calibrated: {result.skipped}")
    except BaseException:
        drop_calibrations(heads)
        for key, old in before.items():
            if old is not None:
                heads[key].model.attrs[ATTR] = old
        raise
    show_calibrations(nlp.meta, component, heads)
    return result


def threshold_of(head: Head) -> dict[str, float]:
    """The threshold that temperatures and sets are fitted with, which a user may change later."""
    return {"threshold": head.threshold} if isinstance(head, Thresholded) else {}


def able_heads(
    heads: Mapping[str, Head], fit: Sequence[Example], rest: Sequence[Example]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Choose the heads that have probabilities, and gold in both parts. RETURNS: them, and why others are skipped."""
    able: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for key, head in heads.items():
        numbers = [sum(head.has_gold(eg) for eg in part) for part in (fit, rest)]
        if not isinstance(head, GivesEvidence):
            skipped[key] = f"a {type(head).__name__} gives no probabilities that could be compared with gold"
        elif not all(numbers):
            skipped[key] = (
                f"{sum(numbers)} docs have its gold ({', '.join(head.gold_attributes)}), and each part of the data "
                "needs some; give more annotated docs"
            )
        else:
            able[key] = head
    return able, skipped


def fit_all(
    nlp: Language, component: str, examples: Sequence[Example], heads: Mapping[str, Any], result: Calibrated
) -> dict[str, dict[str, float]]:
    """Fit the temperatures of each head, by unit; a head that knows none of its gold labels is skipped."""
    evidence: dict[str, EvidenceT] = {key: {} for key in heads}
    for batch in scored_batches(nlp, component, examples, list(heads)):
        for key, head in heads.items():
            collect(evidence[key], head.evidence(batch.views.of(key), batch.scores[key]))
    temperatures: dict[str, dict[str, float]] = {}
    for key, parts in evidence.items():
        try:
            temperatures[key] = {unit: fit_temperature(own) for unit, own in parts.items()}
        except ValueError as error:
            result.skipped[key] = str(error)
    return temperatures


def collect(parts: EvidenceT, found: Sequence[Evidence]) -> None:
    """Add the evidence of a batch."""
    for own in found:
        parts.setdefault(own.unit, []).append(own)


@dataclass
class HeldOut:
    """What heads score, at their temperature, for docs that it was not fitted on. By head, in the order of the docs.

    evidence: What is measured. gold_logs, confidences, correct: (n_docs,); NaN without gold.
    batches: The docs and their scores, for sets.
    """

    batches: list[Batch] = field(default_factory=list)
    evidence: dict[str, EvidenceT] = field(default_factory=dict)
    gold_logs: dict[str, FloatsT] = field(default_factory=dict)
    confidences: dict[str, FloatsT] = field(default_factory=dict)
    correct: dict[str, FloatsT] = field(default_factory=dict)

    @classmethod
    def of(cls, nlp: Language, component: str, examples: Sequence[Example], heads: Mapping[str, Any]) -> "HeldOut":
        """Score the docs."""
        pipe: Any = nlp.get_pipe(component)
        assert isinstance(pipe, Multitask)
        batches = list(scored_batches(nlp, component, examples, list(heads)))
        held = cls(batches)
        for key, head in heads.items():
            own = [(batch, batch.views.of(key), batch.scores[key]) for batch in batches]
            held.evidence[key] = {}
            for _, views, scores in own:
                collect(held.evidence[key], head.evidence(views, scores))
            if isinstance(head, RanksOutcomes):
                held.gold_logs[key] = np.concatenate([head.gold_logs(views, scores) for _, views, scores in own])
            if isinstance(head, Confident):
                held.confidences[key] = np.concatenate(
                    [np.asarray(head.confidence(batch.docs, scores)) for batch, _, scores in own]
                )
        for batch in batches:
            pipe.set_annotations(batch.docs, pipe.predict(batch.docs))
        for key, head in heads.items():
            held.correct[key] = np.concatenate([verdicts_of(head, batch.views.of(key)).correct for batch in batches])
        return held

    def judge(
        self, key: str, head: Any, temperatures: Mapping[str, float], n_fit: int, settings: CalibrationSettings
    ) -> HeadCalibration | str:
        """Measure a head, and find the rule of its sets. RETURNS: a reason if there is nothing to measure."""
        parts = {}
        for unit, temperature in temperatures.items():
            before, after = (measure(self.evidence[key][unit], value) for value in (1.0, temperature))
            if before is None or after is None:
                return f"it predicts no {unit} in the docs that probabilities are measured on"
            parts[unit] = Part(temperature, before, after)
        known = np.flatnonzero(~np.isnan(self.correct[key]))
        found = HeadCalibration(parts, n_fit, len(known))
        if key in self.confidences and len(known):
            found.risk = risk_curve(self.confidences[key][known], self.correct[key][known] > 0)
            found.threshold = LabelThreshold(settings.risk, least_confidence(found.risk, settings.risk))
        if settings.coverage is not None and not isinstance(head, RanksOutcomes):
            found.notes.append(NO_SETS.format(type(head).__name__))
        elif settings.coverage is not None:
            found.rule = self.set_rule(key, head, settings)
            found.sizes = sizes_of([one for batch in self.batches for one in self._sets(key, head, found.rule, batch)])
            if np.isinf(found.rule.limit):
                found.notes.append(
                    f"no limit of {settings.most} outcomes reaches a coverage of {settings.coverage:g}, so every doc "
                    "goes to a person; allow more outcomes, or a lower coverage"
                )
        return found

    def set_rule(self, key: str, head: RanksOutcomes, settings: CalibrationSettings) -> SetRule:
        """Find the rule for prediction sets of a head. Raises a ValueError that names it for too few docs."""
        assert settings.coverage is not None
        # sums of probabilities are meant for outcomes of which one is true
        method = settings.method if head.one_holds else "lac"
        known = ~np.isnan(self.gold_logs[key])
        ranked = None
        if method == "aps":
            ranked = [
                one
                for batch in self.batches
                for one in head.rank(batch.docs, batch.scores[key], least=-np.inf, most=settings.most)
            ]
        scores = truth_scores(self.gold_logs[key], ranked)[known]
        try:
            limit = conformal_limit(scores, settings.coverage)
        except ValueError as error:
            raise ValueError(
                f"head {key!r}: {error}. Give at least {needed_docs(settings.coverage)} docs with all of its gold for "
                "the sets, or ask for a lower coverage"
            ) from None
        return SetRule(settings.coverage, method, limit, settings.most, len(scores))

    def _sets(self, key: str, head: RanksOutcomes, rule: SetRule, batch: Batch) -> Iterator[Any]:
        yield from find_sets(head, rule, batch.docs, batch.scores[key])


def sizes_of(sets: Sequence[Any]) -> SetSizes:
    """Sum up prediction sets."""
    columns = np.array([(one.size, one.answered, not one.size and not one.answered, not one.complete) for one in sets])
    mean_size, answered, empty, incomplete = columns.astype("d").mean(axis=0).tolist()
    return SetSizes(mean_size, answered, empty, incomplete)
