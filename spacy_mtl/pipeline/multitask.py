"""The component `multitask`: one shared encoder, several heads, trained jointly."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import logger
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from .. import registry  # noqa: F401  (the config's registries)
from ..annotation_scores import register_scores
from ..network.listeners import check_listeners, check_vectors, find_listeners
from ..network.run_heads import AllScoresT, build_multitask_model, run_heads
from ..protocols.arrays import AnnotationsT, ArrayT, EncoderT, ScoresT
from ..protocols.head import Head
from ..protocols.head_confidence import Confident
from ..protocols.head_labels import HasLabels
from ..protocols.label_cover import complete
from ..protocols.readout import ReadoutT
from ..protocols.weighting import Weighting
from ..threads.blas_threads import one_blas_thread
from .backward_pass import BackwardPass
from .balance_readout import BalanceReadout
from .checks import check_gold, check_heads, check_label, check_overlap, check_weighting, with_label, with_threshold
from .consistency import describe_gold_costs, find_consistent, update_constraints
from .decoding import Decoding
from .doc_confidence import Annotated, Beside, DocConfidence, confidence_of, drop_calibrations
from .extraction import extract
from .forgetting import Forgetting
from .head_changes import add_head, find_component, remove_heads, rename_head
from .head_progress import HeadProgress, SelectionT
from .head_views import HeadViews, check_corpora, check_head_names
from .initial_weights import InitialWeights
from .initialization import fit_gold, initialize_networks, name_for_sharing, set_labels
from .kept_heads import KeptHeads
from .merging import merge
from .parameter_counts import count_by_part, describe_counts
from .pending_gradients import PendingGradients
from .prediction import annotate_with, run_to_predict
from .rehearsal import compare_with_teacher
from .run_order import connect_heads, run_order, seen_by
from .run_to_score import run_from_gold, run_silent_heads
from .saved_component import SavedComponent
from .saving import Parts
from .score_weights import check_selection, warn_of_unnamed_weight
from .scoring import ComponentScores, score_component
from .shown_calibration import show_calibrations
from .step_counts import StepCounts
from .training_step import TrainingStep
from .weighing import Weighing, get_losses
from .writing import write_annotations

# steps between two measurements of gradients
READOUT_EVERY = 50

NanGradientT = Literal["stop", "skip"]


class Multitask(TrainablePipe):
    """Pipeline component with one shared encoder and several heads, trained jointly. `model` holds all parameters:
    those of the encoder, of the heads and of the weighting.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: EncoderT,
        name: str = "multitask",
        *,
        heads: Mapping[str, Any],
        weighting: Any,
        nan_gradient: NanGradientT = "stop",
        readout_every: int = READOUT_EVERY,
    ) -> None:
        """vocab (Vocab): The shared vocabulary.
        model (EncoderT): The shared encoder.
        name (str): Name in the pipeline.
        heads (Mapping[str, Head]): The heads by name.
        weighting (Weighting): How the heads' losses and gradients become one.
        nan_gradient (str): "stop" or "skip": what to do if the loss or the gradient of a head is NaN or infinite.
        readout_every (int): Number of steps between two measurements of the losses' gradients, on average; 0 to measure
            none.
        """
        check_heads(heads, name)
        if readout_every < 0:
            raise ValueError(
                f"component {name!r}: readout_every is {readout_every}, expected a number of steps, or 0 to measure no "
                "gradients"
            )
        self.vocab = vocab
        self.name = name
        # `spacy find-threshold` sets "heads.NAME.threshold" here too; what counts is the config that it loads with.
        self.cfg: dict[str, Any] = {"heads": {key: {} for key in heads}}
        self.nan_gradient = nan_gradient
        self._readout = BalanceReadout(readout_every)
        self.selections: dict[str, SelectionT] = {}
        self._is_new = False
        self._kept: KeptHeads | None = None
        self._forgetting: Forgetting | None = None
        self._counts = StepCounts(self.cfg)
        # of the pipeline, once there is one
        self.meta: dict[str, Any] | None = None
        self._told: list[tuple[list[Doc], DocConfidence]] | None = None
        self._wanted: Beside | None = None
        check_weighting(weighting, name).bind(list(heads))
        self._build(model, heads, Weighing(weighting, heads, name))

    def _build(self, encoder: EncoderT, heads: Mapping[str, Head], weighing: Weighing) -> None:
        """Build the network of these heads, of which nothing has been learned or scored yet."""
        self.heads: dict[str, Head] = dict(heads)
        for key, head in self.heads.items():
            head.name = key
        self._weighing = weighing
        self.weighting = weighing.weighting
        self.pairs = find_consistent(self.heads)
        self._order = run_order(self.heads, self.pairs)
        connect_heads(self.heads)
        self.model = build_multitask_model(encoder, self.in_order(), self.weighting)
        self._rehearsal_model: Model[list[Doc], AllScoresT] | None = None
        self._pending = PendingGradients()
        self.progress = HeadProgress()
        self.main_scores: dict[str, float | None] = {}
        self.corpus_scores: dict[str, dict[str, float]] = {}

    def set_heads(self, heads: Mapping[str, Head], weighting: Weighting) -> None:
        """Go on with other heads and another weighting, which knows their names. Gradients, the read-out and the
        progress of the heads begin anew, and no head is kept any more. `add_head`, `remove_head` and `rename_head` also
        change the config.
        """
        if heads.keys() != self.heads.keys():
            self._kept = self._forgetting = None
        self.drop_gradients()
        self._readout.reset()
        self._build(self.encoder, heads, self._weighing.of(weighting, heads))

    @property
    def encoder(self) -> EncoderT:
        """The shared encoder."""
        return self.model.get_ref("encoder")

    @property
    def parameter_counts(self) -> dict[str, int]:
        """The number of parameters of "encoder", "sharing" and each of "heads/NAME"."""
        return count_by_part(self.encoder, self.heads)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all heads, as "head:label"."""
        return tuple(f"{key}:{label}" for key, labels in self.label_data.items() for label in labels)

    @property
    def label_data(self) -> dict[str, list[str]]:
        """The labels of each head that has any, in the form that `spacy init labels` writes and `initialize` reads."""
        return {key: list(head.labels) for key, head in self.heads.items() if isinstance(head, HasLabels)}

    @property
    def readout(self) -> ReadoutT:
        """How the heads have shared the encoder in all steps so far: each head's loss, weight, gradient norm and share
        of the encoder's movement, and each two heads' conflict. `balance/readout_sums.py` describes it.
        """
        return dict(self._readout.shown)

    @property
    def keep(self) -> Mapping[str, float]:
        """The heads that learn from the pipeline that this training began from (`initialize`), and the weights of these
        losses.
        """
        return {} if self._kept is None else dict(self._kept.weights)

    def in_order(self) -> dict[str, Head]:
        """The heads in the order in which they run."""
        return {key: self.heads[key] for key in self._order}

    def show_readout(self, nlp: Language) -> None:
        """Show the read-out in `nlp.meta["spacy_mtl"]["balance"]` under the component's name, and keep it up to date
        there. `initialize` and `spacy_mtl.Logger.v1` do this.
        """
        self._readout.show_in(nlp, self.name)

    def take_readout(self) -> ReadoutT:
        """Get the read-out of the steps since the last call. `spacy_mtl.Logger.v1` calls it at each evaluation."""
        return self._readout.take()

    def add_label(self, label: str, head: str | None = None) -> int:
        """Add a label to a head, before or after training. The network grows, and predicts the old labels as before.

        label (str): The label, not empty.
        head (str | None): The head's name; can be left out if there is only one head.
        RAISES ValueError: The head does not exist or can't have the label. Nothing has changed then.
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
        check_overlap(self.heads | {head: with_label(grown, label)})
        is_new = grown.add_label(label)
        if is_new:
            self.progress.forget(head)
            self._forget_calibrations(seen_by(self.heads, self.pairs, head))
        return is_new

    def add_head(
        self,
        name: str,
        head: Mapping[str, Any],
        *,
        nlp: Language,
        get_examples: Callable[[], Iterable[Example]] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Add a head, before or after training. The encoder and the other heads keep their weights exactly, and what
        they predict, unless the sharing layer mixes heads (`CrossStitch`, `PLE` with several levels): a warning says
        so. Train the pipeline on to teach the new head.

        name (str): The name of the new head.
        head (Mapping[str, Any]): Its section of the config, with "@mtl_heads".
        nlp (Language): The pipeline that the component is in. Its config changes too, so that it can be saved.
        get_examples (Callable[[], Iterable[Example]] | None): Returns gold examples, as for `initialize`.
        labels (Sequence[str] | None): The labels, if they should not be collected from the examples. One of these two
            is needed once the component is initialised.
        RAISES ValueError: There is such a head, it would write what another head writes, or it finds no labels. Nothing
            has changed then.
        """
        add_head(self, nlp, name, head, get_examples=get_examples, labels=labels)

    def remove_head(self, name: str, *, nlp: Language) -> None:
        """Remove a head. The others keep their weights and what they predict exactly.

        nlp (Language): The pipeline that the component is in. Its config changes too.
        RAISES ValueError: There is no such head, it is the last one, or another head needs it. Nothing has changed
            then.
        """
        remove_heads(self, nlp, [name])

    def rename_head(self, old: str, new: str, *, nlp: Language) -> None:
        """Rename a head, and all that refers to it: other heads, weighting, labels, weights of scores, corpora and
        callbacks in the config. Predictions stay exactly as they were.

        nlp (Language): The pipeline that the component is in. Its config changes too.
        RAISES ValueError: There is no such head, or one of the new name. Nothing has changed then.
        """
        rename_head(self, nlp, old, new)

    def extract(self, names: str | Iterable[str], *, nlp: Language, keep: Iterable[str] = ()) -> Language:
        """Build a pipeline with some of the heads, those that they need (`condition_on`, `depends_on`,
        `consistent_with`), and the pipes that the component listens to. It predicts exactly the same.

        names (str | Iterable[str]): The heads.
        nlp (Language): The pipeline that the component is in, which stays as it is.
        keep (Iterable[str]): Other components of the pipeline to keep.
        RETURNS (Language): The new pipeline. It can be saved, packaged and trained on.
        """
        return extract(
            nlp, [names] if isinstance(names, str) else names, component=find_component(self, nlp), keep=keep
        )

    def merge(self, other: Language, names: Iterable[str] | None = None, *, nlp: Language) -> Language:
        """Build a pipeline with these heads and those of another pipeline whose encoder has the same weights. All heads
        predict exactly what they did.

        other (Language): The other pipeline, with one component with heads.
        names (Iterable[str] | None): Heads of the other pipeline; those that they need come along. None takes all.
        nlp (Language): The pipeline that the component is in. Both pipelines stay as they are.
        RAISES ValueError: The encoders differ; two heads have one name and differ, or write the same.
        RETURNS (Language): The new pipeline. It can be saved, packaged and trained on.
        """
        return merge(nlp, other, names, component=find_component(self, nlp))

    def predict(self, docs: Iterable[Doc]) -> dict[str, AnnotationsT]:
        """Predict the annotation of each head that writes any, without changing the docs. RETURNS: by head name."""
        writing, docs = [key for key, head in self.heads.items() if head.writes], list(docs)
        sure = partial(confidence_of, self.heads, writing, docs, wanted=self.beside)
        return annotate_with(self.model, self.in_order(), self.pairs, docs, writing, name=self.name, sure=sure)

    @property
    def beside(self) -> Beside:
        """What is computed beside the annotation: what `keep_scores` and `keep_sets` say, or the block of `telling`."""
        return self._wanted or Beside(self.keep_scores, self.keep_sets)

    @contextmanager
    def telling(self, wanted: Beside) -> Iterator[list[tuple[list[Doc], DocConfidence]]]:
        """Within the block, compute something else beside the annotation, and collect it. Another pass for the
        confidences would be one over annotated docs. It is for one thread.

        YIELDS: The docs of each batch that has been annotated in the block, and what was computed beside that.
        """
        self._wanted, self._told = wanted, []
        try:
            yield self._told
        finally:
            self._wanted = self._told = None

    def confidences(self, docs: Iterable[Doc]) -> dict[str, ArrayT]:
        """Compute how sure each head is of its annotation of each doc, (n_docs,), from 0 to 1. Over a listener the docs
        must have passed the upstream pipe.

        RETURNS: by head name, without the heads that can't tell (Protocol `Confident`).
        """
        docs = list(docs)
        able = {key: head for key, head in self.heads.items() if isinstance(head, Confident)}
        decided = self.decided_scores(docs, list(able))
        return {key: head.confidence(docs, decided[key]) for key, head in able.items()}

    def decided_scores(self, docs: Iterable[Doc], names: Sequence[str]) -> dict[str, ScoresT]:
        """Compute the scores that some heads decode. Those of jointly decoded heads agree. Over a listener the docs
        must have passed the upstream pipe. RETURNS: by head name.
        """
        docs = list(docs)
        decoding, scores = run_to_predict(self.model, self.in_order(), self.pairs, docs, names, name=self.name)
        return {key: decoding.decided(key, scores) for key in names}

    @property
    def keep_scores(self) -> bool:
        """Whether probabilities are kept on docs: `ent._.score` of entities, `token._.scores` by head and
        `token._.score`, the least of them. It is saved with the component. Entities take another pass of the CRF.
        """
        return bool(self.cfg.get("keep_scores", False))

    @keep_scores.setter
    def keep_scores(self, value: bool) -> None:
        self.cfg["keep_scores"] = value
        self._register_extensions()

    @property
    def keep_sets(self) -> bool:
        """Whether `doc._.mtl_sets` is computed for each doc where a calibration gives prediction sets, which is so
        unless it is set to False. It is saved with the component.
        """
        return bool(self.cfg.get("keep_sets", True))

    @keep_sets.setter
    def keep_sets(self, value: bool) -> None:
        self.cfg["keep_sets"] = value

    def set_annotations(self, docs: Iterable[Doc], scores: Mapping[str, AnnotationsT]) -> None:
        """Write what `predict` returned to the docs."""
        docs = list(docs)
        write_annotations(self.heads, docs, scores)
        if isinstance(scores, Annotated):
            scores.confidence.write(docs, self.name)
            if self._told is not None:
                self._told.append((docs, scores.confidence))

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
        only: str | None = None,
    ) -> dict[str, float]:
        """Learn from a batch. Each head learns from the examples that carry its annotation; the heads' gradients reach
        the encoder in one backward pass. A batch that no head can learn from changes nothing. The loss of a head whose
        weight is 0 moves nothing: neither the head, nor the encoder, nor what the head is conditioned on. Such a head
        still learns from the losses of heads that are conditioned on it.

        If the loss or the gradient of a head is NaN or infinite, there is a ValueError that names the head; the weights
        are as before the batch, and no gradient is left. With `nan_gradient = "skip"` the head takes no part in the
        step instead, and the others learn: the head stays as it is, and so does what it sends to the encoder and to
        heads that it is conditioned on.

        losses (dict[str, float] | None): Gets the weighted total under the component's name and each head's own loss
            (nats) under "name/head". Heads that are kept (see `initialize`) have their loss against the old pipeline
            (nats) under "name/keep/head".
        only (str | None): Backpropagate the loss of this head alone, with the weight 1. Neither the weighting nor the
            read-out learns of such a step, and it does not count.
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.update")
        if only is not None and only not in self.heads:
            raise ValueError(f"component {self.name!r}: only is {only!r}, expected one of the heads {list(self.heads)}")
        losses = {} if losses is None else losses
        own = [f"{self.name}/{key}" for key in self.heads]
        for key in (self.name, *own, *(f"{self.name}/keep/{key}" for key in self.keep)):
            losses.setdefault(key, 0.0)
        docs = [eg.predicted for eg in examples]
        if not any(len(doc) for doc in docs):
            return losses
        with one_blas_thread(sum(map(len, docs))):
            if only is None:
                self._step().learn(examples, drop=drop, losses=losses, scores=self.main_scores, kept=self._kept)
            else:
                self._step().learn_alone(only, examples, drop=drop, losses=losses)
        if sgd:
            self.finish_update(sgd)
        return losses

    def losses_on(self, examples: Iterable[Example]) -> dict[str, float]:
        """Compute the losses of a batch without learning from it, and without dropout. Over a listener the docs must
        have passed the upstream pipe.

        RETURNS: In nats, by the name of each head that finds gold.
        """
        examples = list(examples)
        validate_examples(examples, "Multitask.losses_on")
        docs, views = [eg.predicted for eg in examples], HeadViews(examples)
        update_constraints(self.heads, self.pairs, views)
        prepare = Decoding(self.heads, self.pairs, docs, views).prepare
        with one_blas_thread(sum(map(len, docs))):
            tokvecs = self.encoder.predict(docs)
            run = run_heads(self.model, self.in_order(), docs, tokvecs, is_train=False, prepare=prepare)
            return get_losses(self.heads, views, run)[0]

    def drop_gradients(self) -> None:
        """Forget all gradients since the last `finish_update`."""
        self._backward().drop()

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
        if find_listeners(self.model):
            check_vectors(self.model, docs, self.name)
        prepare = Decoding(self.heads, self.pairs, docs).prepare
        lesson = compare_with_teacher(self._rehearsal_model, self.model, self.in_order(), docs, prepare=prepare)
        lesson.run.skip_broken = self.nan_gradient == "skip"
        self._backward().backprop(lesson.run, lesson.bp_tokvecs, lesson.d_scores)
        losses[self.name] += lesson.loss
        if sgd:
            self.finish_update(sgd)
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the optimizer to everything that received a gradient since the last call. A head that found no gold is
        skipped: momentum and weight decay would move it even if its gradient is zero.
        """
        self.progress.end_step()
        if self._pending:
            self._forget_calibrations(self.heads)
        self.progress.restart_averages(self.heads, getattr(sgd, "averages", None))
        self._pending.apply(sgd, self.in_order(), self.encoder, self._weighing, frozen=self.progress.done("head"))

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Mapping[str, Sequence[str]] | None = None,
        init_from: str | Path | None = None,
        keep: Mapping[str, float] | None = None,
    ) -> None:
        """Set the labels and the sizes of all networks.

        get_examples (Callable[[], Iterable[Example]]): Returns gold examples, from which heads collect their labels.
        nlp (Language | None): The pipeline.
        labels (Mapping[str, Sequence[str]] | None): Labels by head name, for heads that should not collect them.
        init_from (str | Path | None): A trained pipeline from which the encoder and all heads of the same name are
            loaded. Its labels come first, in their order, and new ones are added. Other heads start fresh.
        keep (Mapping[str, float] | None): Weights by the names of heads in `init_from` that must not be forgotten. In
            each step such a head also learns from what it scored there on the docs of the batch, whether or not they
            have its gold (Li and Hoiem 2016, "Learning without Forgetting"). The weight is the factor of this loss,
            which is added to the weighted total of the others; no weighting changes it. 0 keeps nothing.
        RAISES ValueError: A head finds no labels, can't learn from its gold, or writes what another head writes; a
            corpus is of use to no head; or all texts are empty.
        """
        validate_get_examples(get_examples, "Multitask.initialize")
        if nlp is not None:
            check_listeners(self.model, nlp, self.name)
            warn_of_unnamed_weight(nlp)
            check_selection(nlp)
            self.progress.begin(nlp.meta, self.name)
        examples = complete(list(get_examples()), nlp)
        views = HeadViews(examples)
        check_head_names(self.heads, examples)
        old = None if init_from is None else InitialWeights.of(init_from, self.name)
        trained = () if old is None else old.pipe.heads
        set_labels(self.heads, views, labels or {}, n_examples=len(examples), name=self.name, loaded=trained)
        loaded = set() if old is None else old.load_heads(self.heads)
        self._kept = KeptHeads.of(old, keep or {}, self.heads, self.name)
        fresh = {key: head for key, head in self.heads.items() if key not in loaded}
        check_overlap(self.heads)
        check_corpora(self.heads, examples)
        check_gold(self.heads, views)
        fit_gold(fresh, views)
        update_constraints(self.heads, self.pairs, views)
        name_for_sharing(self.encoder, self.heads, examples)
        initialize_networks(
            self.encoder, self.in_order(), self.pairs, examples, fresh=fresh, old=old, nlp=nlp, name=self.name
        )
        logger.info("component '%s': %s", self.name, describe_counts(self.parameter_counts))
        self._readout.reset()
        self._forget_calibrations(self.heads)
        self._forgetting = None if old is None or nlp is None else Forgetting(old, nlp.meta, self.name)
        if nlp is not None:
            self._weighing.prepare(self.encoder, nlp)
            self.show_readout(nlp)
        self._is_new = True

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Compute the scores of all heads: "head_metric", and spaCy's own key too if only one head offers it;
        `multitask_score`, the mean of the heads' main scores; `multitask_exact`, the share of docs on which every head
        that has gold is right. These two are over all `multitask` components of a pipeline that have been scored so
        far. If docs carry the name of their corpus, there is also "corpus/head_metric". In a training there are the
        scores of `selections` too.

        threshold (float | None): In `kwargs`, set by `scorer_cfg` of `nlp.evaluate`. Replaces the threshold of all
            heads that have one.
        """
        return self.judge(examples, **kwargs).scores

    def judge(self, examples: Iterable[Example], **kwargs: Any) -> ComponentScores:
        """Score all heads, and keep what the scores were computed from. Arguments as those of `score`."""
        examples = list(examples)
        validate_examples(examples, "Multitask.score")
        if self._is_new:
            self._log_gold_costs(examples)
        docs = [eg.predicted for eg in examples]
        run_silent_heads(self.model, self.in_order(), self.pairs, docs, name=self.name)
        run_from_gold(self.model, self.in_order(), self.pairs, examples, name=self.name)
        found = score_component(with_threshold(self.heads, kwargs.get("threshold")), examples, self.name)
        self.main_scores, self.corpus_scores = found.main, found.by_corpus
        if self.progress.observe(found.main, self.heads):
            if self._forgetting is not None:
                self._forgetting.observe(examples, self.heads, found.main)
            found.scores.update(self.progress.select(self.selections, found.all_main))
        return found

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize "cfg", "vocab" and each part, see `saving`. Any of these can be excluded."""
        return self._saved().to_bytes(list(exclude))

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load what `to_bytes` returned. Raise a ValueError if a head of the config is missing or does not fit."""
        self._saved().from_bytes(bytes_data, list(exclude))
        self._register_extensions()
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save "cfg", "vocab" and each part in a folder, see `saving`."""
        self._saved().to_disk(Path(path), list(exclude))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "Multitask":
        """Load from a folder. Raise a ValueError that names the folder if a file is missing or broken."""
        self._saved().from_disk(Path(path), list(exclude))
        self._register_extensions()
        return self

    def _backward(self) -> BackwardPass:
        return BackwardPass(self.model, self.heads, self._weighing, self._readout, self._pending, self._counts)

    def _step(self) -> TrainingStep:
        return TrainingStep(
            self.name,
            self.heads,
            self._order,
            self.pairs,
            self._backward(),
            self.progress,
            skip_broken=self.nan_gradient == "skip",
        )

    def _register_extensions(self) -> None:
        if self.keep_scores:
            register_scores()

    def _forget_calibrations(self, changed: Iterable[str]) -> None:
        """Remove the calibrations of heads that change, or that see one that changes: they are those of others."""
        dropped = drop_calibrations({key: self.heads[key] for key in changed})
        if dropped:
            if self.meta is not None:
                show_calibrations(self.meta, self.name, self.heads)
            logger.warning(
                "component '%s': the heads %s change, so their calibration goes; calibrate the pipeline again",
                self.name,
                dropped,
            )

    def _saved(self) -> SavedComponent:
        parts = Parts(self.name, self.encoder, self.heads, self.weighting)
        return SavedComponent(parts, self.cfg, self.vocab, self._readout)

    def _log_gold_costs(self, examples: Sequence[Example]) -> None:
        """Log what `consistent_with` costs the gold of the docs that are scored first after initialisation. As a
        warning, since `spacy train` shows nothing below that.
        """
        self._is_new = False
        for text in describe_gold_costs(self.heads, self.pairs, HeadViews(examples)):
            logger.warning(text)
