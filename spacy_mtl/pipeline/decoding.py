"""Decoding of a batch: each head is decoded at most once, and only if its annotation is needed."""

from collections.abc import Iterator, Mapping, Sequence

from spacy.tokens import Doc

from ..network.run_heads import AllScoresT
from ..protocols.arrays import AnnotationsT, PreparedT, ScoresT
from ..protocols.between_heads import Prepares, RevisesAnnotation
from ..protocols.fits import fits
from ..protocols.head import Head
from .consistency import decide
from .head_views import HeadViews


class Decoding:
    """The annotation of a batch, and what the heads with `prepare` build from it."""

    def __init__(
        self,
        heads: Mapping[str, Head],
        pairs: Mapping[str, str],
        docs: Sequence[Doc],
        views: HeadViews | None = None,
        *,
        prepared: Mapping[str, PreparedT] | None = None,
    ) -> None:
        """heads (Mapping[str, Head]): All heads by name.
        pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
        docs (Sequence[Doc]): The batch.
        views (HeadViews | None): Its gold, in training.
        prepared (Mapping[str, PreparedT] | None): What is prepared already, by head.
        """
        self.heads = heads
        self.pairs = pairs
        self.docs = docs
        self.views = views
        self._decided: AllScoresT = {}
        self._annotations: dict[str, AnnotationsT] = {}
        self._prepared: dict[str, PreparedT] = dict(prepared or {})
        self._revisers = {
            head.revises: key for key, head in heads.items() if fits(head, RevisesAnnotation) and head.revises
        }
        self._revised: dict[str, AnnotationsT] = {}

    def prepare(self, name: str, scores: Mapping[str, ScoresT]) -> PreparedT:
        """Build what a head's network gets beside the vectors, from the scores of the heads before it. It is built
        once, so that in rehearsal the student gets what its teacher gets.
        """
        head = self.heads[name]
        if not fits(head, Prepares):
            return None
        if name not in self._prepared:
            examples = None if self.views is None else self.views.of(name)
            self._prepared[name] = head.prepare(self.docs, examples, Found(self, head.depends_on, scores))
        return self._prepared[name]

    def decided(self, name: str, scores: Mapping[str, ScoresT]) -> ScoresT:
        """Get the scores that a head decodes. Those of jointly decoded heads agree."""
        if name not in self._decided:
            self._decided.update(decide(self.heads, self.pairs, name, scores))
        return self._decided[name]

    def annotation(self, name: str, scores: Mapping[str, ScoresT]) -> AnnotationsT:
        """Get the decoded annotation of a head."""
        if name not in self._annotations:
            self._annotations[name] = self.heads[name].decode(self.docs, self.decided(name, scores))
        return self._annotations[name]

    def revised(self, name: str, scores: Mapping[str, ScoresT]) -> AnnotationsT:
        """Get what is written: the decoded annotation, after the head that decides about it together with its own."""
        reviser = self._revisers.get(name)
        if reviser is None or reviser not in scores:
            return self.annotation(name, scores)
        if name not in self._revised:
            head = self.heads[reviser]
            assert isinstance(head, RevisesAnnotation)
            annotation = self.annotation(name, scores)
            self._revised[name] = head.revise(self.decided(reviser, scores), annotation)
        return self._revised[name]


class Found(Mapping[str, AnnotationsT]):
    """The annotation of the heads that another head depends on. A head is decoded when its entry is read."""

    def __init__(self, decoding: Decoding, names: Sequence[str], scores: Mapping[str, ScoresT]) -> None:
        self._decoding = decoding
        self._names = names
        self._scores = scores

    def __getitem__(self, name: str) -> AnnotationsT:
        if name not in self._names:
            raise KeyError(name)
        return self._decoding.annotation(name, self._scores)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
