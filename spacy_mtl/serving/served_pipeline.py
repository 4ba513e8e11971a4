"""A pipeline as it is served: texts become JSON. One thread alone uses it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from spacy.attrs import IDX
from spacy.language import Language
from spacy.tokens import Doc

from ..explanations.explain import METHODS, choose_target, explain_target, make_network, targets_of
from ..head_keys import unambiguous
from ..pipeline.doc_confidence import Beside, DocConfidence
from ..pipeline.multitask import Multitask
from ..protocols.cannot_explain import CannotExplain
from ..protocols.head import HasHeads
from ..protocols.head_calibration import calibration_of, set_rule_of
from ..protocols.head_explanation import Explains
from ..protocols.head_labels import HasLabels
from ..protocols.head_prediction import DIGITS, ShowsPrediction
from .shown_sets import set_as_dict

# Characters of texts whose words the pipeline keeps. Later words are forgotten with their batch, so that memory stays
# flat; those that are kept are tokenized faster.
KEPT_CHARACTERS = 4_000_000
ToldT = Sequence[tuple[Sequence[Doc], DocConfidence]]
# One of each kind of annotation, so that all parts have run before the first request.
WARM_UP = "Anna bought 3 books in Berlin on Monday. She likes them."


@dataclass(frozen=True)
class TextToRead:
    """A text, and whether to compute how sure the heads are of it, and their prediction sets."""

    text: str
    with_confidence: bool = False
    with_sets: bool = False

    @property
    def wants_more(self) -> bool:
        """Whether anything beside the annotation is wanted."""
        return self.with_confidence or self.with_sets


@dataclass(frozen=True)
class TextToExplain:
    """A text, and what to explain. head (str): Its name here. target (str | None): See `explain`."""

    text: str
    head: str
    target: str | None
    method: str


@dataclass(frozen=True)
class OfDoc:
    """What a component said of a doc beside its annotation: a row of what it said of a batch."""

    batch: DocConfidence
    row: int

    def of(self, head: str, wanted: TextToRead) -> dict[str, Any]:
        """What is wanted of a head, if it can tell."""
        found: dict[str, Any] = {}
        if wanted.with_confidence and head in self.batch.confidences:
            found["confidence"] = round(float(self.batch.confidences[head][self.row]), DIGITS)
        if wanted.with_sets and head in self.batch.sets:
            found["set"] = set_as_dict(self.batch.sets[head][self.row])
        return found


@dataclass(frozen=True)
class ServedHead:
    """A head.

    component (str): The component that has it.
    key (str): Its name there.
    """

    component: str
    key: str
    head: ShowsPrediction


class ServedPipeline:
    """A pipeline with heads."""

    def __init__(self, nlp: Language, name: str) -> None:
        """name (str): By which requests choose it.
        RAISES ValueError: It has no heads.
        """
        self.nlp = nlp
        self.name = name
        self.heads = find_heads(nlp)
        if not self.heads:
            raise ValueError(
                f"the pipeline {name!r} has no component with heads that can be shown; its components are "
                f"{nlp.component_names}"
            )
        self._kept = 0
        self.read([TextToRead(WARM_UP, with_confidence=True, with_sets=True)])

    def describe(self) -> dict[str, Any]:
        """Say what there is to ask for."""
        heads = {
            name: {
                "explains": isinstance(one.head, Explains),
                "labels": list(one.head.labels) if isinstance(one.head, HasLabels) else [],
                "calibrated": is_calibrated(one.head),
                "coverage": coverage_of(one.head),
            }
            for name, one in self.heads.items()
        }
        direction = self.nlp.vocab.writing_system.get("direction", "ltr")
        return {"name": self.name, "lang": self.nlp.lang, "direction": direction, "heads": heads}

    def read(self, texts: Sequence[TextToRead]) -> list[bytes | Exception]:
        """Read texts together. If one of them fails, it alone does.

        RETURNS (list[bytes | Exception]): JSON for each text, or what was raised.
        """
        try:
            return list(self._read_together(texts))
        except Exception as error:
            if len(texts) == 1:
                return [error]
        return [answer for one in texts for answer in self.read([one])]

    def explain(self, wanted: TextToExplain) -> dict[str, Any]:
        """Explain a prediction, and list what else the head has predicted.

        RAISES CannotExplain: There is no such head, target or method, or the head has found nothing.
        """
        if wanted.method not in METHODS:
            raise CannotExplain(f"method is {wanted.method!r}, expected one of {list(METHODS)}")
        if wanted.head not in self.heads:
            raise CannotExplain(f"there is no head {wanted.head!r}; the heads are {list(self.heads)}")
        owner = self.heads[wanted.head]
        with self._forgetting(len(wanted.text)):
            network = make_network(self.nlp, wanted.text, owner.key, owner.component)
            targets = [str(target.name) for target in targets_of(network, owner.key)]
            target = choose_target(network, owner.key, wanted.target)
            found = explain_target(network, owner.key, target, wanted.method)
        return {"targets": targets, "explanation": found.as_dict() | {"head": wanted.head}}

    def _read_together(self, texts: Sequence[TextToRead]) -> Iterator[bytes]:
        with self._forgetting(sum(len(one.text) for one in texts)):
            with self._telling(texts) as told:
                docs = list(self.nlp.pipe([one.text for one in texts], batch_size=len(texts)))
            beside = {component: by_doc(batches) for component, batches in told.items()}
            for doc, one in zip(docs, texts, strict=True):
                shown = {name: own.head.prediction(doc).as_dict() for name, own in self.heads.items()}
                for name, own in self.heads.items() if one.wants_more else ():
                    # a later component may have put another doc in its place
                    found = beside.get(own.component, {}).get(id(doc))
                    shown[name] |= {} if found is None else found.of(own.key, one)
                yield encode({"text": doc.text, "tokens": tokens_of(doc), "heads": shown})

    @contextmanager
    def _telling(self, texts: Sequence[TextToRead]) -> Iterator[dict[str, ToldT]]:
        """Let the components collect what the texts want beside the annotation. Nothing else is computed."""
        confidences, sets = any(one.with_confidence for one in texts), any(one.with_sets for one in texts)
        with ExitStack() as stack:
            told: dict[str, ToldT] = {}
            for component in dict.fromkeys(own.component for own in self.heads.values()):
                pipe = self.nlp.get_pipe(component)
                if isinstance(pipe, Multitask):
                    told[component] = stack.enter_context(pipe.telling(Beside(pipe.keep_scores, sets, confidences)))
            yield told

    @contextmanager
    def _forgetting(self, n_characters: int) -> Iterator[None]:
        """Forget the words of texts, unless few have been kept so far."""
        if self._kept + n_characters <= KEPT_CHARACTERS:
            self._kept += n_characters
            yield
        else:
            with self.nlp.memory_zone():
                yield


def find_heads(nlp: Language) -> dict[str, ServedHead]:
    """Find the heads that can be shown, by name. Where several components have a head of that name, it is
    "component/head".
    """
    pipes: list[tuple[str, Any]] = nlp.pipeline
    found = {
        component: {
            key: ServedHead(component, key, head)
            for key, head in pipe.heads.items()
            if isinstance(head, ShowsPrediction)
        }
        for component, pipe in pipes
        if isinstance(pipe, HasHeads)
    }
    return unambiguous(found)


def is_calibrated(head: Any) -> bool:
    """Whether a calibration changes the probabilities of a head."""
    return bool(calibration_of(head.model))


def coverage_of(head: Any) -> float | None:
    """The coverage of a head's prediction sets; None if it gives none."""
    rule = set_rule_of(head.model)
    return None if rule is None else rule.coverage


def by_doc(told: ToldT) -> dict[int, OfDoc]:
    """What a component said of each doc, by the id of the doc."""
    return {id(doc): OfDoc(batch, row) for docs, batch in told for row, doc in enumerate(docs)}


def tokens_of(doc: Doc) -> list[dict[str, Any]]:
    """The tokens with their places in characters."""
    words, starts = [token.text for token in doc], doc.to_array(IDX).tolist()
    return [{"text": word, "start": start, "end": start + len(word)} for word, start in zip(words, starts, strict=True)]


def encode(value: Any) -> bytes:
    """JSON as bytes. A number that JSON does not have, such as NaN, becomes null."""
    return to_json(value, inf_nan_mode="null")
