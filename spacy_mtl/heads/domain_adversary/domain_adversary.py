"""A domain classifier that the encoder learns to defeat: vectors that hide which domain a doc is of."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, chain
from thinc.types import Floats2d, Ragged
from thinc.util import get_array_module, to_numpy

from ...gold import renamed_cats, snippet
from ...layers.doc_logits import doc_logits, init_doc_logits
from ...layers.dropout import dropout
from ...layers.old_labels import old_scores, with_new_labels
from ...layers.pooling import PoolingKindT
from ...layers.pooling import pooling as build_pooling
from ...layers.softmax import log_softmax, softmax
from ...origin import corpus_of
from ...protocols.arrays import ArrayT
from ...protocols.head import HeadInput, HeadModelT
from ..bases.model_labels import ModelLabels
from .gradient_reversal import gradient_reversal


def make_domain_adversary_v1(
    total_steps: int,
    prefix: str | None = None,
    gamma: float = 10.0,
    max_lambda: float = 1.0,
    pooling: list[PoolingKindT] = ["mean", "max"],  # noqa: B006  (a config needs a plain default; it is only read)
) -> "DomainAdversary":
    """Build a domain adversary: a classifier of domains whose gradient reaches the encoder reversed, so that the
    encoder learns to hide the domain (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", JMLR 17).

    The encoder receives the gradient times `-lambda`, where `lambda = max_lambda * (2 / (1 + exp(-gamma * p)) - 1)` and
    `p = min(1, step / total_steps)`. A step is a call of `update` with at least one doc that has a domain. A doc
    without a domain is missing gold. The head writes no annotation. Its only score, `acc`, enters neither
    `multitask_score` nor `multitask_exact`: the closer it is to the share of the largest domain, the better the vectors
    hide the domain.

    total_steps (int): Number of steps over which lambda grows, usually `${training.max_steps}`, multiplied by
        `training.accumulate_gradient` if that is not 1. With 1, lambda is constant from the second step on.
    prefix (str | None): Prefix of the `doc.cats` keys that name domains: the domain is the positive one. Null takes the
        name of the doc's corpus, as the reader `spacy_mtl.MultiCorpus.v1` sets it.
    gamma (float): Growth rate of lambda, above 0.
    max_lambda (float): Value that lambda grows towards, at least 0. With 0 the encoder receives no gradient, and the
        head only measures how well the shared vectors reveal the domain.
    pooling (list[str]): How to combine token vectors into a doc vector: `"mean"`, `"max"`, `"attention"`, or several of
        them, concatenated.
    """
    if total_steps < 1:
        raise ValueError(f"DomainAdversary: total_steps is {total_steps}; it must be at least 1")
    if not gamma > 0.0:
        raise ValueError(f"DomainAdversary: gamma is {gamma}; it must be above 0")
    if not max_lambda >= 0.0:
        raise ValueError(f"DomainAdversary: max_lambda is {max_lambda}; it must be at least 0")
    if not pooling:
        raise ValueError("DomainAdversary: pooling is empty; name at least one of 'mean', 'max', 'attention'")
    return DomainAdversary(build_model(pooling, total_steps, gamma, max_lambda), prefix=prefix)


def build_model(kinds: Sequence[PoolingKindT], total_steps: int, gamma: float, max_lambda: float) -> HeadModelT:
    """Token vectors -> reversal -> pooled -> logits (n_docs, n_labels)."""
    reversal = gradient_reversal(total_steps, gamma, max_lambda)
    pool: Model[Ragged, Floats2d] = chain(reversal, build_pooling(kinds), dropout())
    model = doc_logits("domain_adversary", pool, {"labels": []}, init)
    model.set_ref("reversal", reversal)
    return model


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels."""
    labels = model.attrs["labels"]
    if len(labels) < 2:
        raise ValueError(f"DomainAdversary: its domains are {labels}; it needs docs of two at least, or leave it out")
    init_doc_logits(model, X)


class DomainAdversary(ModelLabels):
    """Head that tells a doc's domain, while the encoder learns to hide it. The loss is computed per doc.

    A doc without a domain is not annotated. The head writes no annotation, and its accuracy enters no other score: the
    nearer it is to the share of the largest domain, the better the vectors hide the domain.

    labels (tuple[str, ...]): Domains: keys of `cats` without the prefix, or names of corpora.
    """

    adversarial = True
    main_score: str | None = None
    standard_scores: Mapping[str, str] = {}
    overlap_fix = ""

    def __init__(self, model: HeadModelT, *, prefix: str | None) -> None:
        self.name = "domain_adversary"
        self.model = model
        self.prefix = prefix

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """Where the head finds the domain."""
        return ("name of the corpus",) if self.prefix is None else (f"doc.cats that start with {self.prefix!r}",)

    @property
    def writes(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all domains of gold docs, in alphabetical order."""
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the domain of a gold doc, if it has one."""
        domain = self._domain(doc)
        return set() if domain is None else {domain}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the domain. A doc is one unit."""
        counts.update(self.gold_labels(doc))
        return 1

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename the keys of `cats`, if the domain is one of them."""
        if self.prefix is not None:
            target.cats = renamed_cats(source.cats, mapping)

    def has_gold(self, example: Example) -> bool:
        """Whether the doc has a domain that the head knows."""
        return self._domain(example.reference) in self.labels

    def get_loss(self, examples: Sequence[Example], scores: ArrayT) -> tuple[float, ArrayT | None]:
        """Cross-entropy of the domains, in nats. Its gradient is what the classifier learns from; the network reverses
        what goes on to the encoder.
        """
        gold = self._gold(examples)
        rows = np.flatnonzero(gold >= 0)
        if not len(rows):
            return 0.0, None
        d_scores: ArrayT = get_array_module(scores).zeros_like(scores)
        d_scores[rows] = softmax(scores[rows])
        d_scores[rows, gold[rows]] -= 1.0
        loss = -log_softmax(scores[rows])[np.arange(len(rows)), gold[rows]].sum()
        return float(loss) / len(examples), d_scores / len(examples)

    def get_teacher_loss(self, teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
        """Cross-entropy against the teacher's probabilities, over the domains that the teacher has."""
        target, old = softmax(teacher), old_scores(scores, teacher)
        loss = -(target * log_softmax(old)).sum()
        return float(loss) / len(scores), with_new_labels((softmax(old) - target) / len(scores), scores)

    def decode(self, docs: Sequence[Doc], scores: Floats2d) -> list[str]:
        """The likeliest domain of each doc."""
        return [self.labels[index] for index in to_numpy(scores).argmax(axis=1)]

    def set_annotations(self, docs: Sequence[Doc], annotations: Sequence[str]) -> None:
        """Store the domains in `doc.user_data`, for `score`."""
        for doc, domain in zip(docs, annotations, strict=True):
            doc.user_data[self._key] = domain

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Compute `acc`: the share of docs of a known domain whose domain is predicted."""
        found = [correct for eg in examples if (correct := self.is_correct(eg)) is not None]
        return {"acc": sum(found) / len(found) if found else None}

    def is_correct(self, example: Example) -> bool | None:
        """Check whether the doc's domain is predicted; None if the doc has none, or one that is not a label."""
        domain = self._domain(example.reference)
        if domain not in self.labels:
            return None
        return bool(example.predicted.user_data.get(self._key) == domain)

    @property
    def _key(self) -> str:
        return f"spacy_mtl.domain.{self.name}"

    def _domain(self, doc: Doc) -> str | None:
        """The gold doc's domain. Raises a ValueError if it is of two."""
        if self.prefix is None:
            return corpus_of(doc)
        domains = [
            key[len(self.prefix) :] for key, value in doc.cats.items() if value > 0 and key.startswith(self.prefix)
        ]
        if len(domains) > 1:
            raise ValueError(
                f"head {self.name!r}: doc {snippet(doc.text)} is of {len(domains)} domains: {domains}; keep one "
                f"positive key with the prefix {self.prefix!r}"
            )
        return domains[0] if domains else None

    def _gold(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """The index of each doc's domain in the labels, (n_docs,); -1 where it has none."""
        indices: dict[str | None, int] = {label: index for index, label in enumerate(self.labels)} | {None: -1}
        domains = [self._domain(eg.reference) for eg in examples]
        for domain, eg in zip(domains, examples, strict=True):
            if domain not in indices:
                raise ValueError(
                    f"head {self.name!r}: domain {domain!r} of doc {snippet(eg.reference.text)} was not seen at "
                    f"initialisation; add it with add_label({domain!r}, head={self.name!r}), or initialise with "
                    "examples or labels that have it"
                )
        return np.array([indices[domain] for domain in domains], dtype="int64")
