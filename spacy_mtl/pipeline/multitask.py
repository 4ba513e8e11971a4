"""The component `multitask`: one shared encoder, several heads, trained jointly."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import logger, minibatch
from spacy.util import registry as spacy_registry
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, Ragged, set_dropout_rate

from .. import registry  # noqa: F401  (the config's registries)
from ..models.blas_threads import one_blas_thread
from ..models.finish import finish_layers
from ..models.listeners import check_listeners, check_vectors, find_listeners, is_last_of_several
from ..models.multitask import AllScoresT, build_multitask_model, run_heads
from ..models.shared_encoder import finish_encoder
from ..origin import corpora_of
from ..types import AnnotationsT, ArrayT, EncoderT, Head, HeadInput, SelfLabelling, SharingInput, Weighting
from .consistency import describe_gold_costs, find_consistent, observe_gold, reconcile
from .scoring import score_corpora, score_heads
from .views import Views, check_corpora, check_head_names

DEFAULT_MODEL = Config().from_str("""
[model]
@architectures = "spacy_mtl.SharedEncoder.v1"
sharing = null

[model.tok2vec]
@architectures = "spacy_mtl.HashEmbedCNN.v1"
pretrained_vectors = null
width = 96
depth = 4
embed_size = 2000
window_size = 1
maxout_pieces = 3
subword_features = true
boundary = "padded"
word_dropout = 0.0
rare_word_dropout = 0.0
rare_word_power = 1.0
""")["model"]
DEFAULT_HEADS = {"textcat": "spacy_mtl.DocClassifier.v1", "ner": "spacy_mtl.EntityRecognizer.v1"}
N_SAMPLE = 10
# docs that are run at once to score a head that writes nothing
N_SCORED = 256


@Language.factory(
    "multitask",
    assigns=["doc.cats", "doc.ents", "doc.spans", "token.ent_iob", "token.ent_type", "token.tag", "token.pos"],
    default_config={
        "model": DEFAULT_MODEL,
        "heads": None,
        "weighting": {"@mtl_weightings": "spacy_mtl.Static.v1", "weights": {}},
    },
    default_score_weights={"multitask_score": 1.0, "multitask_exact": 0.0},
)
def make_multitask(
    nlp: Language, name: str, model: EncoderT, heads: dict[str, Any] | None, weighting: Any
) -> "Multitask":
    """Build the component.

    model (Model[list[Doc], Ragged]): The shared encoder, usually spacy_mtl.SharedEncoder.v1.
    heads (dict[str, Head] | None): The heads by name. None builds an exclusive classifier `textcat` and an entity
        recognizer `ner`.
    weighting (Weighting): How the heads' losses and gradients become one.
    """
    if heads is None:
        heads = {key: spacy_registry.get("mtl_heads", maker)() for key, maker in DEFAULT_HEADS.items()}
    return Multitask(nlp.vocab, model, name, heads=heads, weighting=weighting)


class Multitask(TrainablePipe):
    """The component. Everything it learns hangs in `model`: the encoder, the heads' networks and the weighting's."""

    def __init__(
        self, vocab: Vocab, model: EncoderT, name: str = "multitask", *, heads: Mapping[str, Any], weighting: Any
    ) -> None:
        """vocab (Vocab): The shared vocabulary. model (EncoderT): The shared encoder. name (str): Name in the pipeline.
        heads (Mapping[str, Head]): The heads by name. weighting (Weighting): The loss weights.
        """
        check_heads(heads, name)
        if not isinstance(weighting, Weighting):
            raise ValueError(
                f"component {name!r}: weighting is {weighting!r}, which is no weighting; use @mtl_weightings"
            )
        self.vocab = vocab
        self.name = name
        self.cfg: dict[str, Any] = {}
        self.heads: dict[str, Head] = dict(heads)
        self.weighting: Weighting = weighting
        for key, head in self.heads.items():
            head.name = key
        weighting.bind(list(self.heads))
        self._order = run_order(self.heads)
        self._consistent = find_consistent(self.heads)
        self.model = build_multitask_model(model, {key: self.heads[key] for key in self._order}, weighting)
        self._rehearsal_model: Model[list[Doc], AllScoresT] | None = None
        self._with_gradient: set[str] = set()
        self._is_new = False
        self.main_scores: dict[str, float | None] = {}
        self.corpus_scores: dict[str, dict[str, float]] = {}

    @property
    def encoder(self) -> EncoderT:
        """The shared encoder."""
        return self.model.get_ref("encoder")

    @property
    def labels(self) -> tuple[str, ...]:
        """All heads' labels as "head:label"."""
        return tuple(f"{key}:{label}" for key, head in self.heads.items() for label in head.labels)

    @property
    def label_data(self) -> dict[str, list[str]]:
        """Each head's labels, as `spacy init labels` writes and `initialize` reads them."""
        return {key: list(head.labels) for key, head in self.heads.items()}

    def add_label(self, label: str, head: str | None = None) -> int:
        """Add a label to a head, also after training: the network grows and predicts the old labels as before.

        head (str | None): The head's name; may be left out if there is only one.
        RETURNS (int): 1 if the label is new, else 0.
        """
        if head is None and len(self.heads) == 1:
            head = next(iter(self.heads))
        if head not in self.heads:
            raise ValueError(f"component {self.name!r}: add_label needs head, one of {list(self.heads)}; got {head!r}")
        added = self.heads[head].add_label(label)
        check_overlap(self.heads, self.name)
        return added

    def predict(self, docs: Iterable[Doc]) -> dict[str, AnnotationsT]:
        """The annotation of the docs by each head that writes any, by head name. The docs are not changed."""
        return self._predict_with(list(docs), [key for key, head in self.heads.items() if head.writes])

    def confidences(self, docs: Iterable[Doc]) -> dict[str, ArrayT]:
        """How sure each head is of its annotation of each doc, (n_docs,), from 0 to 1; by head name, without the heads
        that can't say (Protocol `SelfLabelling`). Over a listener the docs must have passed the upstream pipe.
        """
        docs = list(docs)
        able = {key: head for key, head in self.heads.items() if isinstance(head, SelfLabelling)}
        scores = self._run_heads(docs, list(able))
        return {key: head.confidence(docs, scores[key]) for key, head in able.items()}

    def set_annotations(self, docs: Iterable[Doc], scores: Mapping[str, AnnotationsT]) -> None:
        """Write what `predict` gave to the docs."""
        docs = list(docs)
        for key, annotations in scores.items():
            self.heads[key].set_annotations(docs, annotations)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch. Each head learns from the examples that carry its annotation; the heads' gradients reach
        the encoder in one backward pass. A batch that no head can learn from changes nothing.

        losses (dict[str, float] | None): Gets the weighted total under the component's name and each head's own loss
            (nats) under "name/head".
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.update")
        losses = {} if losses is None else losses
        for key in (self.name, *(f"{self.name}/{key}" for key in self.heads)):
            losses.setdefault(key, 0.0)
        docs = [eg.predicted for eg in examples]
        if not any(len(doc) for doc in docs):
            return losses
        with one_blas_thread(sum(map(len, docs))):
            self._learn(examples, docs, drop=drop, losses=losses)
        if sgd:
            self.finish_update(sgd)
        return losses

    def _learn(self, examples: Sequence[Example], docs: list[Doc], *, drop: float, losses: dict[str, float]) -> None:
        """Add the gradients of a batch, and its losses to `losses`."""
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        own, d_scores = self._get_losses(examples, scores)
        if d_scores:
            weights = self.weighting.weights(own)
            backprop({key: gradient * weights[key] for key, gradient in d_scores.items()})
            self._with_gradient.update(reached_heads(self.heads, own))
            losses[self.name] += sum(weights[key] * loss for key, loss in own.items())
            for key, loss in own.items():
                losses[f"{self.name}/{key}"] += loss
        elif any(is_last_of_several(listener) for listener in find_listeners(self.model)):
            backprop({})

    def rehearse(
        self,
        examples: Iterable[Example],
        *,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
        **config: Any,
    ) -> dict[str, float]:
        """Pull all heads towards what the component predicted when `nlp.resume_training` was called. Over a listener
        the encoder stays as it is, and the docs must have passed the upstream pipe.
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.rehearse")
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        docs = [eg.predicted for eg in examples]
        if self._rehearsal_model is None or not any(len(doc) for doc in docs):
            return losses
        set_dropout_rate(self.model, 0.0)
        teacher = self._rehearsal_model.predict(docs)
        backprop: Callable[[AllScoresT], Any]
        if find_listeners(self.model):
            check_vectors(self.model, docs, self.name)
            tokvecs = self.encoder.predict(docs)
            scores, backprop = run_heads(self.model, self._heads_in_order(), docs, tokvecs, is_train=True)
        else:
            scores, backprop = self.model.begin_update(docs)
        writers = {key: head for key, head in self.heads.items() if head.writes}
        own = {key: head.get_rehearsal_loss(teacher[key], scores[key]) for key, head in writers.items()}
        backprop({key: d_scores for key, (_, d_scores) in own.items()})
        self._with_gradient.update(own)
        losses[self.name] += sum(loss for loss, _ in own.values())
        if sgd:
            self.finish_update(sgd)
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer change what got a gradient since the last time. A head that found no gold stays exactly as
        it was: momentum and weight decay would move it, since thinc keeps gradients of zero.
        """
        if not self._with_gradient:
            return
        finish_encoder(self.encoder, sgd)
        layers: list[Model[Any, Any]] = [self.heads[key].model for key in self._order if key in self._with_gradient]
        if self.weighting.model is not None:
            layers.append(self.weighting.model)
        finish_layers(layers, sgd)
        self._with_gradient.clear()

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Set labels and network sizes.

        get_examples (Callable[[], Iterable[Example]]): Gives gold examples, from which heads take their labels.
        labels (Mapping[str, Sequence[str]] | None): Labels by head name, for heads that shall not look for them.
        """
        validate_get_examples(get_examples, "Multitask.initialize")
        if nlp is not None:
            check_listeners(self.model, nlp, self.name)
        examples = list(get_examples())
        check_head_names(self.heads, examples)
        self._set_labels(examples, labels or {})
        check_overlap(self.heads, self.name)
        check_corpora(self.heads, examples)
        observe_gold(self.heads, self._consistent, Views(examples))
        self._name_for_sharing(examples)
        filled = [eg.predicted for eg in examples if len(eg.predicted)]
        if not filled:
            raise ValueError(f"component {self.name!r}: all {len(examples)} examples have empty texts")
        self._initialize_networks(filled[:N_SAMPLE])
        self._is_new = True

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Each head's metrics as "head_metric"; spaCy's own key too where one head alone owns the annotation;
        `multitask_score`, the mean of the heads' main scores; `multitask_exact`, the share of docs on which every head
        that has gold is right. Where docs carry the name of their corpus, also "corpus/head_metric".
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.score")
        if self._is_new:
            self._log_gold_costs(examples)
        self._run_silent_heads([eg.predicted for eg in examples])
        result = score_heads(self.heads, examples)
        by_corpus = score_corpora(self.heads, examples)
        for corpus, heads in by_corpus.items():
            for key, scores in heads.items():
                result.update({f"{corpus}/{key}_{metric}": value for metric, value in scores.items()})
        main = {key: head.main_score for key, head in self.heads.items() if head.main_score is not None}
        self.main_scores = {key: result[f"{key}_{metric}"] for key, metric in main.items()}
        self.corpus_scores = {
            corpus: {key: scores[main[key]] for key, scores in heads.items() if key in main}
            for corpus, heads in by_corpus.items()
        }
        return result

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load from what `to_bytes` gave."""
        super().from_bytes(bytes_data, exclude=exclude)
        return self

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load from a directory. Raises a ValueError that names the directory if a file is missing or broken."""
        try:
            super().from_disk(path, exclude=exclude)
        except Exception as error:
            raise ValueError(
                f"component {self.name!r}: can't load {path}: {error}. The directory is incomplete, or was saved by a "
                "component with other heads; save it again, or copy all of it"
            ) from error
        return self

    def _predict_with(self, docs: list[Doc], names: Sequence[str]) -> dict[str, AnnotationsT]:
        """The annotation of the docs by these heads."""
        with one_blas_thread(sum(map(len, docs))):
            scores = self._run_heads(docs, names)
            return {key: self.heads[key].decode(docs, scores[key]) for key in names}

    def _run_heads(self, docs: list[Doc], names: Sequence[str]) -> AllScoresT:
        """The scores by which these heads decode, and those of the heads that they need."""
        if any(len(doc) for doc in docs):
            check_vectors(self.model, docs, self.name)
            tokvecs = self.encoder.predict(docs)
        else:
            tokvecs = self._empty_tokvecs(docs)
        needed = reached_heads(self.heads, names)
        scores, _ = run_heads(self.model, self._heads_in_order(), docs, tokvecs, is_train=False, only=needed)
        return reconcile(self.heads, self._consistent, scores)

    def _run_silent_heads(self, docs: Sequence[Doc]) -> None:
        """Let the heads that `predict` passes over leave on the docs what they are scored by."""
        silent = [key for key, head in self.heads.items() if not head.writes and head.labels]
        if silent:
            for batch in minibatch(docs, size=N_SCORED):
                self.set_annotations(batch, self._predict_with(batch, silent))

    def _log_gold_costs(self, examples: Sequence[Example]) -> None:
        """Log what `consistent_with` costs the gold of the docs that are scored first after initialisation. As a
        warning, since `spacy train` shows nothing below that.
        """
        self._is_new = False
        for text in describe_gold_costs(self.heads, self._consistent, Views(examples)):
            logger.warning(text)

    def _name_for_sharing(self, examples: Sequence[Example]) -> None:
        """Tell the sharing layer, if there is one, what it may have a part for."""
        sharing = self.encoder.maybe_get_ref("sharing")
        if sharing is not None:
            sharing.attrs["heads"] = list(self.heads)
            sharing.attrs["corpora"] = corpora_of(eg.reference for eg in examples)

    def _heads_in_order(self) -> dict[str, Head]:
        return {key: self.heads[key] for key in self._order}

    def _empty_tokvecs(self, docs: Sequence[Doc]) -> Ragged:
        ops = self.model.ops
        return Ragged(ops.alloc2f(0, self.encoder.get_dim("nO")), ops.alloc1i(len(docs)))

    def _get_losses(self, examples: Sequence[Example], scores: AllScoresT) -> tuple[dict[str, float], AllScoresT]:
        """RETURNS: loss and gradient of the heads that found gold in the batch."""
        views = Views(examples)
        observe_gold(self.heads, self._consistent, views)
        own: dict[str, float] = {}
        d_scores: AllScoresT = {}
        for key, head in self.heads.items():
            loss, gradient = head.get_loss(views.of(key), scores[key])
            if not math.isfinite(loss):
                raise ValueError(
                    f"head {key!r}: its loss is {loss}, so this batch was not learned from and the weights are as "
                    "before it; lower the learning rate or the head's weight, or check the encoder's vectors"
                )
            if gradient is not None:
                own[key], d_scores[key] = loss, gradient
        return own, d_scores

    def _set_labels(self, examples: Sequence[Example], labels: Mapping[str, Sequence[str]]) -> None:
        unknown = sorted(set(labels) - set(self.heads))
        if unknown:
            raise ValueError(
                f"component {self.name!r}: labels are given for {unknown}, the heads are {list(self.heads)}"
            )
        views = Views(examples)
        for key, head in self.heads.items():
            if key in labels:
                for label in labels[key]:
                    head.add_label(label)
            else:
                added = head.labels
                head.collect_labels(views.of(key))
                for label in added:
                    head.add_label(label)
            if not head.labels:
                raise ValueError(
                    f"head {key!r}: none of the {len(examples)} examples to initialise from carries its annotation "
                    f"({head.attribute}), so it has no labels; add such examples, or give the labels in "
                    f"[initialize.components.{self.name}.labels]"
                )

    def _initialize_networks(self, docs: list[Doc]) -> None:
        """Initialise the encoder, then the heads in the order in which they see each other's scores."""
        sharing = self.encoder.maybe_get_ref("sharing")
        self.encoder.initialize(docs)
        tokvecs = self.encoder.predict(docs)
        views = dict.fromkeys(self.heads, tokvecs)
        if sharing is not None:
            views = sharing.predict(SharingInput(docs, tokvecs))
        scores: AllScoresT = {}
        for key in self._order:
            head = self.heads[key]
            conditions = [self.heads[other].condition(scores[other], tokvecs.lengths)[0] for other in head.condition_on]
            head_input = HeadInput(docs, views[key], conditions)
            head.model.initialize(head_input)
            scores[key] = head.model.predict(head_input)


def check_heads(heads: Mapping[str, Any], name: str) -> None:
    """Raise a ValueError if there are no heads, or if something else is among them."""
    if not heads:
        raise ValueError(
            f"component {name!r}: it has no heads; add at least one section [components.{name}.heads.NAME] "
            "with @mtl_heads"
        )
    for key, head in heads.items():
        if not isinstance(head, Head):
            raise ValueError(f"component {name!r}: {key!r} under heads is {head!r}, which is no head; use @mtl_heads")


def check_overlap(heads: Mapping[str, Head], name: str) -> None:
    """Raise a ValueError if two heads would write the same thing."""
    writers: dict[str, str] = {}
    for key, head in heads.items():
        for written, label in head.writes.items():
            other = writers.setdefault(written, key)
            if other != key:
                what = f"label {label!r}" if label else written
                raise ValueError(f"head {key!r}: {what} is also predicted by head {other!r}; {head.overlap_fix}")


def reached_heads(heads: Mapping[str, Head], names: Iterable[str]) -> set[str]:
    """These heads and all that they are conditioned on, directly or not: their losses' gradients reach them."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting.extend(heads[key].condition_on)
    return reached


def run_order(heads: Mapping[str, Head]) -> list[str]:
    """Head names, those that others are conditioned on first. Raises a ValueError for unknown names and cycles."""
    order: list[str] = []
    waiting = sorted(heads)
    for key in waiting:
        for other in heads[key].condition_on:
            if other not in heads:
                raise ValueError(f"head {key!r}: condition_on names {other!r}, but the heads are {list(heads)}")
    while waiting:
        ready = [key for key in waiting if set(heads[key].condition_on) <= set(order)]
        if not ready:
            raise ValueError(f"heads {waiting}: condition_on goes round in a circle; drop it from one of them")
        order.extend(ready)
        waiting = [key for key in waiting if key not in ready]
    return order
