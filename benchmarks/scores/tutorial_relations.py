"""A relation extractor that does what spaCy's tutorial `rel_component` (explosion/projects) does, for `relations.py`.

Candidates are all pairs of entities whose first tokens are at most `max_length` apart, in both directions. A pair is
the mean token vectors of its two entities, one after the other; a linear layer and a logistic function give each label
a score, and the loss is the squared error. It learns from gold entities and predicts between those of `doc.ents`.

The tutorial scores only pairs that it has predicted. Here relations are written and scored as those of spacy-mtl are,
so that gold relations whose entities were not found are missed. The processes that train import this file by its path.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain as joined
from itertools import islice, permutations
from typing import Any, NamedTuple

import numpy as np
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Linear, Logistic, Model, Optimizer, chain, set_dropout_rate
from thinc.types import Floats2d

from spacy_mtl.gold_relations import GoldRelation, read_relations
from spacy_mtl.heads.relation_extractor.lookup_table import add_rows
from spacy_mtl.layers.ragged_rows import first_rows, row_owners, row_ranges
from spacy_mtl.metrics.relation_metrics import judge_relations
from spacy_mtl.protocols.arrays import IntsT
from spacy_mtl.relation import RELATIONS, Relation, relations, set_relations


class Candidates(NamedTuple):
    """Pairs of entities of a batch.

    docs (Sequence[Doc]): The batch.
    entities (list[Span]): The entities of all docs.
    starts (IntsT): The row of each entity's first token in the batch, (n_entities,).
    pairs (IntsT): The entities that are head and tail, (n_pairs, 2).
    """

    docs: Sequence[Doc]
    entities: list[Span]
    starts: IntsT
    pairs: IntsT

    @property
    def lengths(self) -> IntsT:
        """Number of tokens of each entity, (n_entities,)."""
        return np.array([len(entity) for entity in self.entities], dtype="int32")


def find_candidates(docs: Sequence[Doc], gold: Iterable[Doc], max_length: int) -> Candidates:
    """Pair the entities of each gold doc, which has the tokens of the doc in `docs`."""
    entities: list[Span] = []
    starts: list[int] = []
    pairs: list[tuple[int, int]] = []
    for first_row, doc in zip(first_rows(np.array([len(doc) for doc in docs])).tolist(), gold, strict=True):
        own = range(len(entities), len(entities) + len(doc.ents))
        entities += doc.ents
        starts += [first_row + entity.start for entity in doc.ents]
        pairs += [(one, two) for one, two in permutations(own, 2) if abs(starts[one] - starts[two]) <= max_length]
    return Candidates(docs, entities, np.array(starts, dtype="int64"), np.array(pairs, dtype="int64").reshape(-1, 2))


@registry.architectures("tutorial_relations.v1")
def build_network(tok2vec: Model[list[Doc], list[Floats2d]]) -> Model[Candidates, Floats2d]:
    """Build the network: candidates -> the score of each label, (n_pairs, n_labels)."""
    classify: Model[Floats2d, Floats2d] = chain(Linear(), Logistic())
    refs: dict[str, Model[Any, Any] | None] = {"tok2vec": tok2vec, "classify": classify}
    return Model("tutorial_relations", forward, init=init, layers=[tok2vec, classify], refs=refs)


def forward(model: Model[Candidates, Floats2d], X: Candidates, is_train: bool) -> tuple[Floats2d, Callable[..., Any]]:
    """RETURNS: The scores, and backprop to the token vectors."""
    tok2vec, classify = model.layers
    vectors, bp_vectors = tok2vec(list(X.docs), is_train)
    tokens = model.ops.flatten(vectors)
    n_pairs, width = len(X.pairs), tokens.shape[1]
    rows, owners, arguments = row_ranges(X.starts, X.lengths), row_owners(X.lengths), X.pairs.reshape(-1)
    sizes = model.ops.asarray2f(X.lengths[:, None])
    means = add_rows(model, tokens[rows], owners, len(sizes)) / sizes
    scores, bp_scores = classify(means[arguments].reshape(n_pairs, 2 * width), is_train)

    def backprop(d_scores: Floats2d) -> Any:
        d_means = add_rows(model, bp_scores(d_scores).reshape(2 * n_pairs, width), arguments, len(sizes))
        # as in the tutorial, the gradient of an entity is the mean over its pairs
        n_uses = model.ops.asarray2f(np.bincount(arguments, minlength=len(sizes))[:, None])
        d_tokens = model.ops.alloc2f(*tokens.shape)
        d_tokens[rows] = (d_means / (sizes * n_uses.clip(min=1)))[owners]
        return bp_vectors(model.ops.unflatten(d_tokens, model.ops.asarray1i([len(doc) for doc in X.docs])))

    return scores, backprop


def init(model: Model[Candidates, Floats2d], X: Candidates | None = None, Y: Floats2d | None = None) -> None:
    """Set the sizes: candidates X of a few docs, and their gold Y."""
    assert X is not None
    assert Y is not None
    tok2vec, classify = model.layers
    tok2vec.initialize(list(X.docs))
    classify.initialize(X=model.ops.alloc2f(1, 2 * tok2vec.get_dim("nO")), Y=Y[:1])


@Language.factory("tutorial_relations", requires=["doc.ents"])
def make_extractor(
    nlp: Language, name: str, model: Model[Candidates, Floats2d], max_length: int, threshold: float
) -> "TutorialRelations":
    """Build the component.

    max_length (int): Maximum number of tokens between the first tokens of two entities.
    threshold (float): Score from which a relation is found.
    """
    return TutorialRelations(nlp.vocab, model, name, max_length=max_length, threshold=threshold)


class TutorialRelations(TrainablePipe):
    """The component. It writes `doc.spans["relations"]`."""

    def __init__(
        self, vocab: Vocab, model: Model[Candidates, Floats2d], name: str, *, max_length: int, threshold: float
    ) -> None:
        self.vocab, self.model, self.name = vocab, model, name
        self.cfg: dict[str, Any] = {"labels": [], "max_length": max_length, "threshold": threshold}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of relations."""
        return tuple(self.cfg["labels"])

    def initialize(
        self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None, **kwargs: Any
    ) -> None:
        """Collect the labels, and set the sizes of the network."""
        found = joined.from_iterable(relations(eg.reference) for eg in get_examples())
        self.cfg["labels"] = sorted({relation.label for relation in found})
        sample = [eg.reference for eg in islice(get_examples(), 10)]
        self.model.initialize(X=self._candidates(sample, sample), Y=self.model.ops.alloc2f(1, len(self.labels)))

    def predict(self, docs: Iterable[Doc]) -> tuple[Candidates, Floats2d]:
        """Score the pairs of the entities that the docs have."""
        found = list(docs)
        candidates = self._candidates(found, found)
        return candidates, self.model.predict(candidates)

    def set_annotations(self, docs: Iterable[Doc], scores: tuple[Candidates, Floats2d]) -> None:
        """Write the relations that reach the threshold."""
        candidates, values = scores
        own: dict[int, list[Relation]] = {id(doc): [] for doc in candidates.docs}
        for pair, label in np.argwhere(values >= self.cfg["threshold"]).tolist():
            head, tail = (candidates.entities[index] for index in candidates.pairs[pair])
            own[id(head.doc)].append(Relation(head, tail, self.labels[label], float(values[pair, label])))
        for doc in candidates.docs:
            set_relations(doc, own[id(doc)])

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Learn from pairs of gold entities. A batch without pairs sends a gradient of zeros, so that the encoder
        learns from the recognizer.
        """
        losses = {} if losses is None else losses
        batch = list(examples)
        set_dropout_rate(self.model, drop)
        candidates = self._candidates([eg.predicted for eg in batch], [eg.reference for eg in batch])
        scores, backprop = self.model.begin_update(candidates)
        gradient = scores - self.model.ops.asarray2f(self._gold(candidates))
        backprop(gradient)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] = losses.get(self.name, 0.0) + float((gradient**2).sum()) / max(len(gradient), 1)
        return losses

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score the relations as the RelationExtractor does: strict, by boundaries, and with gold entities."""
        batch = list(examples)
        verdicts = judge_relations(batch, self._from_gold(batch), key=RELATIONS, spans_key=None, symmetric=())
        return {f"{RELATIONS}_{name}": value for name, value in verdicts.scores().items()}

    def _from_gold(self, examples: Sequence[Example]) -> list[list[GoldRelation] | None]:
        """What is found between the gold entities of each doc."""
        docs = [eg.predicted.copy() for eg in examples]
        for doc, eg in zip(docs, examples, strict=True):
            doc.set_ents([Span(doc, ent.start, ent.end, label=ent.label_) for ent in eg.reference.ents])
        self.set_annotations(docs, self.predict(docs))
        return [read_relations(doc, RELATIONS, None) for doc in docs]

    def _candidates(self, docs: Sequence[Doc], gold: Iterable[Doc]) -> Candidates:
        return find_candidates(docs, gold, self.cfg["max_length"])

    def _gold(self, candidates: Candidates) -> Floats2d:
        """Whether each label holds, (n_pairs, n_labels)."""
        columns = {label: column for column, label in enumerate(self.labels)}
        rows: Mapping[tuple[int, int, int, int, int], int] = {
            place_of(*(candidates.entities[index] for index in pair)): row for row, pair in enumerate(candidates.pairs)
        }
        gold = np.zeros((len(candidates.pairs), len(columns)), dtype="f")
        for doc in {id(entity.doc): entity.doc for entity in candidates.entities}.values():
            for relation in relations(doc):
                row = rows.get(place_of(relation.head, relation.tail))
                if row is not None:
                    gold[row, columns[relation.label]] = 1.0
        return gold


def place_of(head: Span, tail: Span) -> tuple[int, int, int, int, int]:
    """The doc and the boundaries of two arguments."""
    return id(head.doc), head.start, head.end, tail.start, tail.end
