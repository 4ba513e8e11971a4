"""From the heads' scores of a batch to annotation: each head is decoded when it is asked for, and once."""

from collections.abc import Iterator, Mapping, Sequence

from spacy.tokens import Doc

from ..network.run_heads import AllScoresT
from ..protocols.arrays import AnnotationsT, PreparedT, ScoresT
from ..protocols.head import Head, Prepares
from .consistency import decide
from .head_views import HeadViews


class Decoding:
    """The annotation of a batch, and what heads with `prepare` make of it."""

    def __init__(
        self,
        heads: Mapping[str, Head],
        pairs: Mapping[str, str],
        docs: Sequence[Doc],
        views: HeadViews | None = None,
    ) -> None:
        """heads (Mapping[str, Head]): All heads by name. pairs (Mapping[str, str]): Those that are decoded together.
        docs (Sequence[Doc]): The batch. views (HeadViews | None): Its gold, in training.
        """
        self.heads = heads
        self.pairs = pairs
        self.docs = docs
        self.views = views
        self._decided: AllScoresT = {}
        self._annotations: dict[str, AnnotationsT] = {}
        self._prepared: dict[str, PreparedT] = {}

    def prepare(self, name: str, scores: Mapping[str, ScoresT]) -> PreparedT:
        """What a head's network gets beside the vectors, given the scores of the heads before it. Asked again, for
        another network of the same heads, it is the same: a student works on what its teacher works on.
        """
        head = self.heads[name]
        if not isinstance(head, Prepares):
            return None
        if name not in self._prepared:
            examples = None if self.views is None else self.views.of(name)
            self._prepared[name] = head.prepare(self.docs, examples, Found(self, head.depends_on, scores))
        return self._prepared[name]

    def decided(self, name: str, scores: Mapping[str, ScoresT]) -> ScoresT:
        """The scores by which a head decodes: those of heads that are decoded together agree."""
        if name not in self._decided:
            self._decided.update(decide(self.heads, self.pairs, name, scores))
        return self._decided[name]

    def annotation(self, name: str, scores: Mapping[str, ScoresT]) -> AnnotationsT:
        """What a head decodes."""
        if name not in self._annotations:
            self._annotations[name] = self.heads[name].decode(self.docs, self.decided(name, scores))
        return self._annotations[name]


class Found(Mapping[str, AnnotationsT]):
    """The annotation of the heads that another one depends on, decoded when it is looked up."""

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
