"""The component `multitask`: one shared encoder, several heads, trained jointly."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import logger, minibatch
from spacy.util import registry as spacy_registry
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, Ragged, set_dropout_rate
from thinc.types import Floats2d

from .. import registry  # noqa: F401  (the config's registries)
from ..layers.last_layer import LastLayer
from ..network.finite_gradients import NotFinite, check_gradient, drop_gradients
from ..network.last_layer_gradients import last_layer_gradients, want_last_layer
from ..network.listeners import check_listeners, check_vectors, find_listeners, is_last_of_several
from ..network.optimizer_step import finish_layers
from ..network.run_heads import AllScoresT, HeadsRun, build_multitask_model, run_heads
from ..network.shared_encoder import finish_encoder
from ..protocols.arrays import AnnotationsT, ArrayT, EncoderT
from ..protocols.head import Adversarial, Confident, CountsGold, HasLabels, Head, LearnsFromTeacher
from ..protocols.weighting import LearnsByHead, MergesGradients, Step, Weighting
from ..threads.blas_threads import one_blas_thread
from .checks import check_gold, check_heads, check_label, check_overlap, check_weighting, with_threshold
from .consistency import describe_gold_costs, find_consistent, update_constraints
from .decoding import Decoding
from .head_views import HeadViews, check_corpora, check_head_names
from .initialization import initialize_networks, name_for_sharing, set_labels
from .run_order import needed_heads, run_order, trained_heads
from .saving import Parts, files_in
from .scoring import score_component

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
# docs that are run at once to score a head that writes nothing
N_SCORED = 256
# key of `cfg` for the steps taken so far
N_STEPS = "n_steps"


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
    """Build the component: one shared encoder, several heads, trained jointly.

    model (Model[list[Doc], Ragged]): The shared encoder, usually `spacy_mtl.SharedEncoder.v1`.
    heads (dict[str, Head] | None): Heads by name, from the registry `mtl_heads`. Null builds an exclusive classifier
        `textcat` and an entity recognizer `ner`.
    weighting (Weighting): How the heads' losses and gradients become one, from the registry `mtl_weightings`.
    """
    if heads is None:
        heads = {key: spacy_registry.get("mtl_heads", maker)() for key, maker in DEFAULT_HEADS.items()}
    return Multitask(nlp.vocab, model, name, heads=heads, weighting=weighting)


class Multitask(TrainablePipe):
    """The component. Everything it learns is in `model`: the encoder, the heads' networks and the weighting's."""

    def __init__(
        self, vocab: Vocab, model: EncoderT, name: str = "multitask", *, heads: Mapping[str, Any], weighting: Any
    ) -> None:
        """vocab (Vocab): The shared vocabulary. model (EncoderT): The shared encoder. name (str): Name in the pipeline.
        heads (Mapping[str, Head]): The heads by name. weighting (Weighting): The loss weights.
        """
        check_heads(heads, name)
        self.vocab = vocab
        self.name = name
        # `spacy find-threshold` sets "heads.NAME.threshold" here too; what counts is the config that it loads with.
        self.cfg: dict[str, Any] = {"heads": {key: {} for key in heads}}
        self.heads: dict[str, Head] = dict(heads)
        self.weighting = check_weighting(weighting, name)
        for key, head in self.heads.items():
            head.name = key
        self.weighting.bind(list(self.heads))
        self._pairs = find_consistent(self.heads)
        self._order = run_order(self.heads, self._pairs)
        self.model = build_multitask_model(model, self._in_order(), self.weighting)
        self._rehearsal_model: Model[list[Doc], AllScoresT] | None = None
        self._with_gradient: set[str] = set()
        self._is_new = False
        self._corpus_sizes: Mapping[str, int] = {}
        self._last_layer: LastLayer | None = None
        self.main_scores: dict[str, float | None] = {}
        self.corpus_scores: dict[str, dict[str, float]] = {}

    @property
    def encoder(self) -> EncoderT:
        """The shared encoder."""
        return self.model.get_ref("encoder")

    @property
    def labels(self) -> tuple[str, ...]:
        """All heads' labels as "head:label"."""
        return tuple(f"{key}:{label}" for key, labels in self.label_data.items() for label in labels)

    @property
    def label_data(self) -> dict[str, list[str]]:
        """The labels of each head that has any, as `spacy init labels` writes and `initialize` reads them."""
        return {key: list(head.labels) for key, head in self.heads.items() if isinstance(head, HasLabels)}

    def add_label(self, label: str, head: str | None = None) -> int:
        """Add a label to a head, also after training: the network grows and predicts the old labels as before.

        head (str | None): The head's name; may be left out if there is only one.
        RETURNS (int): 1 if the label is new, else 0.
        """
        if head is None and len(self.heads) == 1:
            head = next(iter(self.heads))
        if head not in self.heads:
            raise ValueError(f"component {self.name!r}: add_label needs head, one of {list(self.heads)}; got {head!r}")
        check_label(label, head)
        grown = self.heads[head]
        if not isinstance(grown, HasLabels):
            raise ValueError(f"head {head!r}: a {type(grown).__name__} has no labels, so {label!r} can't be added")
        added = grown.add_label(label)
        check_overlap(self.heads)
        return added

    def predict(self, docs: Iterable[Doc]) -> dict[str, AnnotationsT]:
        """Find the annotation of the docs by each head that writes any, by head name. The docs are not changed."""
        return self._predict_with(list(docs), [key for key, head in self.heads.items() if head.writes])

    def confidences(self, docs: Iterable[Doc]) -> dict[str, ArrayT]:
        """Say how sure each head is of its annotation of each doc, (n_docs,), from 0 to 1; by head name, without the
        heads that can't say (Protocol `Confident`). Over a listener the docs must have passed the upstream pipe.
        """
        docs = list(docs)
        able = {key: head for key, head in self.heads.items() if isinstance(head, Confident)}
        decoding, scores = self._run(docs, list(able))
        return {key: head.confidence(docs, decoding.decided(key, scores)) for key, head in able.items()}

    def set_annotations(self, docs: Iterable[Doc], scores: Mapping[str, AnnotationsT]) -> None:
        """Write what `predict` returned to the docs."""
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
        the encoder in one backward pass. A batch that no head can learn from changes nothing. The loss of a head whose
        weight is 0 moves nothing: neither the head, nor the encoder, nor what the head is conditioned on. Such a head
        still learns from the losses of heads that are conditioned on it.

        Raises a ValueError that names the head if its loss or its gradient is NaN or infinite. The weights are as
        before the batch, and no gradient is left.

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
        heads = self._in_order()
        decoding = Decoding(self.heads, self._pairs, docs)
        old_tokvecs = self._rehearsal_model.get_ref("encoder").predict(docs)
        teacher = run_heads(
            self._rehearsal_model, heads, docs, old_tokvecs, is_train=False, prepare=decoding.prepare
        ).scores
        bp_tokvecs = None
        if find_listeners(self.model):
            check_vectors(self.model, docs, self.name)
            tokvecs = self.encoder.predict(docs)
        else:
            tokvecs, bp_tokvecs = self.encoder.begin_update(docs)
        run = run_heads(self.model, heads, docs, tokvecs, is_train=True, prepare=decoding.prepare)
        own = {
            key: head.get_teacher_loss(teacher[key], run.scores[key])
            for key, head in self.heads.items()
            if head.writes and isinstance(head, LearnsFromTeacher)
        }
        self._backprop(run, bp_tokvecs, {key: d_scores for key, (_, d_scores) in own.items()}, step=None)
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
        finish_layers([*layers, *layers_to_move(self.weighting)], sgd)
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
        views = HeadViews(examples)
        check_head_names(self.heads, examples)
        set_labels(self.heads, views, labels or {}, n_examples=len(examples), name=self.name)
        check_overlap(self.heads)
        check_corpora(self.heads, examples)
        check_gold(self.heads, views)
        update_constraints(self.heads, self._pairs, views)
        name_for_sharing(self.encoder, self.heads, examples)
        if not any(len(eg.predicted) for eg in examples):
            raise ValueError(f"component {self.name!r}: all {len(examples)} examples have empty texts")
        initialize_networks(self.encoder, self._in_order(), self._pairs, examples)
        self._prepare_weighting(nlp)
        self._is_new = True

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Each head's metrics as "head_metric"; spaCy's own key too where one head alone offers it; `multitask_score`,
        the mean of the heads' main scores; `multitask_exact`, the share of docs on which every head that has gold is
        right. Both count the heads of all components of this kind in the pipeline. Where docs carry the name of their
        corpus, also "corpus/head_metric".

        threshold (float | None): Among `kwargs`, as `scorer_cfg` of `nlp.evaluate` sets it: scores heads that have a
            threshold by this one.
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.score")
        if self._is_new:
            self._log_gold_costs(examples)
        self._run_silent_heads([eg.predicted for eg in examples])
        found = score_component(with_threshold(self.heads, kwargs.get("threshold")), examples, self.name)
        self.main_scores, self.corpus_scores = found.main, found.by_corpus
        return found.scores

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Write the component: "cfg", "vocab" and each of its parts, see `saving`. Any of these can be excluded."""
        exclude = list(exclude)
        contents = {
            "cfg": lambda: srsly.json_dumps(self.cfg).encode(),
            "vocab": lambda: self.vocab.to_bytes(exclude=exclude),
        }
        return bytes(srsly.msgpack_dumps(self._parts().write(contents, exclude=exclude)))

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load what `to_bytes` returned. Raises a ValueError if a head of the config is missing or does not fit."""
        exclude = list(exclude)
        saved = srsly.msgpack_loads(bytes_data)
        if "vocab" in saved and "vocab" not in exclude:
            self.vocab.from_bytes(saved["vocab"], exclude=exclude)
        self._read({path: partial(saved.get, path) for path in saved}, exclude=exclude)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the component to a folder: "cfg", "vocab" and each of its parts, see `saving`."""
        folder, exclude = Path(path), list(exclude)
        contents = {"cfg": lambda: srsly.json_dumps(self.cfg, indent=2).encode()}
        for name, data in self._parts().write(contents, exclude=exclude).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if "vocab" not in exclude:
            self.vocab.to_disk(folder / "vocab", exclude=exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load from a folder. Raises a ValueError that names it if a file is missing or broken."""
        folder, exclude = Path(path), list(exclude)
        try:
            if not folder.is_dir():
                raise ValueError("there is no such folder")
            if "vocab" not in exclude:
                self.vocab.from_disk(folder / "vocab", exclude=exclude)
            self._read(files_in(folder), exclude=exclude)
        except Exception as error:
            raise ValueError(
                f"component {self.name!r}: can't load {path}: {error}. The folder is incomplete, or was saved by a "
                "component with other heads; save it again, or copy all of it"
            ) from error
        return self

    def _parts(self) -> Parts:
        return Parts(self.name, self.encoder, self.heads, self.weighting)

    def _read(self, contents: Mapping[str, Callable[[], bytes]], *, exclude: Sequence[str]) -> None:
        self._parts().read(contents, exclude=exclude)
        if "cfg" in contents and "cfg" not in exclude:
            self.cfg.update(srsly.json_loads(contents["cfg"]().decode()))

    def _learn(self, examples: Sequence[Example], docs: list[Doc], *, drop: float, losses: dict[str, float]) -> None:
        """Add the gradients of a batch, and its losses to `losses`."""
        set_dropout_rate(self.model, drop)
        views = HeadViews(examples)
        update_constraints(self.heads, self._pairs, views)
        decoding = Decoding(self.heads, self._pairs, docs, views)
        if self.weighting.needs == "last_layer" and self._last_layer is None:
            self._prepare_weighting(None)
        tokvecs, bp_tokvecs = self.encoder.begin_update(docs)
        run = run_heads(self.model, self._in_order(), docs, tokvecs, is_train=True, prepare=decoding.prepare)
        own, d_scores = self._get_losses(views, run.scores)
        if not own:
            self._backprop(run, bp_tokvecs, {}, step=None)
            return
        step = self._make_step(views, own)
        weights = self.weighting.weights(own, step)
        weighted = {key: gradient * weights[key] for key, gradient in d_scores.items() if weights[key] != 0}
        self._backprop(run, bp_tokvecs, weighted, step=step)
        self.cfg[N_STEPS] = step.number + 1
        losses[self.name] += sum(weights[key] * loss for key, loss in own.items())
        for key, loss in own.items():
            losses[f"{self.name}/{key}"] += loss

    def _get_losses(self, views: HeadViews, scores: AllScoresT) -> tuple[dict[str, float], AllScoresT]:
        """RETURNS: loss and gradient of the heads that found gold in the batch."""
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

    def _make_step(self, views: HeadViews, own: Mapping[str, float]) -> Step:
        adversarial = [key for key, head in self.heads.items() if isinstance(head, Adversarial) and head.adversarial]
        return Step(
            number=self.cfg.get(N_STEPS, 0),
            adversarial=frozenset(adversarial),
            corpus_sizes=self._corpus_sizes,
            scores=self.main_scores,
            count_units=lambda: {key: count_units(self.heads[key], views.of(key)) for key in own},
        )

    def _backprop(
        self, run: HeadsRun, bp_tokvecs: Callable[[Ragged], Any] | None, d_scores: AllScoresT, *, step: Step | None
    ) -> None:
        """Add the gradients of these heads' losses, or none at all.

        bp_tokvecs (Callable | None): Backprop of the encoder; None leaves it as it is.
        step (Step | None): What the weighting sees of the step; None for the plain sum.
        """
        if not d_scores:
            if bp_tokvecs and any(is_last_of_several(listener) for listener in find_listeners(self.model)):
                bp_tokvecs(Ragged(run.backprop({}), run.tokvecs.lengths))
            return
        try:
            d_tokvecs = run.backprop(d_scores) if step is None else self._merge(run, d_scores, step)
            check_gradient(d_tokvecs, f"weighting {type(self.weighting).__name__}")
        except NotFinite:
            drop_gradients(self.model)
            self._with_gradient.clear()
            raise
        if bp_tokvecs:
            bp_tokvecs(Ragged(d_tokvecs, run.tokvecs.lengths))
        self._with_gradient.update(trained_heads(self.heads, d_scores))

    def _merge(self, run: HeadsRun, d_scores: AllScoresT, step: Step) -> Floats2d:
        """One gradient at the shared vectors, (n_tokens, width). A loss that is alone is not changed."""
        if len(d_scores) == 1 or not isinstance(self.weighting, MergesGradients):
            return run.backprop(d_scores)
        gradients = run.backprop_each(d_scores)
        if self._last_layer is not None:
            step.last_layer = last_layer_gradients(self._last_layer, gradients)
        return self.weighting.merge(gradients, step)

    def _prepare_weighting(self, nlp: Language | None) -> None:
        """Get what the weighting needs of the encoder and of the corpora."""
        if nlp is not None:
            self._corpus_sizes = dict(nlp.meta.get("spacy_mtl", {}).get("corpus_sizes", {}))
        if self.weighting.needs == "last_layer":
            self._last_layer = want_last_layer(self.encoder, nlp, self.name, type(self.weighting).__name__)

    def _predict_with(self, docs: list[Doc], names: Sequence[str]) -> dict[str, AnnotationsT]:
        """The annotation of the docs by these heads."""
        with one_blas_thread(sum(map(len, docs))):
            decoding, scores = self._run(docs, names)
            return {key: decoding.annotation(key, scores) for key in names}

    def _run(self, docs: list[Doc], names: Sequence[str]) -> tuple[Decoding, AllScoresT]:
        """Run these heads, and those that they need, in prediction."""
        if any(len(doc) for doc in docs):
            check_vectors(self.model, docs, self.name)
            tokvecs = self.encoder.predict(docs)
        else:
            tokvecs = self._empty_tokvecs(docs)
        decoding = Decoding(self.heads, self._pairs, docs)
        needed = needed_heads(self.heads, self._pairs, names)
        run = run_heads(
            self.model, self._in_order(), docs, tokvecs, is_train=False, prepare=decoding.prepare, only=needed
        )
        return decoding, run.scores

    def _run_silent_heads(self, docs: Sequence[Doc]) -> None:
        """Let the heads that `predict` passes over leave on the docs what they are scored by."""
        silent = [key for key, head in self.heads.items() if not head.writes]
        if silent:
            for batch in minibatch(docs, size=N_SCORED):
                self.set_annotations(batch, self._predict_with(batch, silent))

    def _log_gold_costs(self, examples: Sequence[Example]) -> None:
        """Log what `consistent_with` costs the gold of the docs that are scored first after initialisation. As a
        warning, since `spacy train` shows nothing below that.
        """
        self._is_new = False
        for text in describe_gold_costs(self.heads, self._pairs, HeadViews(examples)):
            logger.warning(text)

    def _in_order(self) -> dict[str, Head]:
        return {key: self.heads[key] for key in self._order}

    def _empty_tokvecs(self, docs: Sequence[Doc]) -> Ragged:
        ops = self.model.ops
        return Ragged(ops.alloc2f(0, self.encoder.get_dim("nO")), ops.alloc1i(len(docs)))


def layers_to_move(weighting: Weighting) -> list[Model[Any, Any]]:
    """What of the weighting's network the optimizer may change."""
    if isinstance(weighting, LearnsByHead):
        return [layer for layer in weighting.layers.values() if has_gradient(layer)]
    return [] if weighting.model is None else [weighting.model]


def has_gradient(layer: Model[Any, Any]) -> bool:
    """Whether a gradient of the layer is not zero."""
    nodes = [(node, name) for node in layer.walk() for name in node.param_names if node.has_grad(name)]
    return any(bool(node.get_grad(name).any()) for node, name in nodes)


def count_units(head: Head, examples: Sequence[Example]) -> int:
    """The annotated units of a batch: what the head counts, or docs with gold."""
    annotated = [eg for eg in examples if head.has_gold(eg)]
    if isinstance(head, CountsGold):
        return sum(head.count_gold(eg.reference, Counter()) for eg in annotated)
    return len(annotated)
