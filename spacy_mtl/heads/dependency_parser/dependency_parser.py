"""Dependency trees by biaffine scores of arcs and labels, written as spaCy's `parser` writes them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import DEP, HEAD
from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.training import Example

from ...gold import look_up, snippet
from ...layers.ragged_rows import bounds
from ...layers.token_losses import least_certain
from ...metrics.dependency_metrics import DependencyVerdicts, judge_dependencies, main_score_of_dependencies
from ...protocols.arrays import AnnotationsT, ArrayT, BoolsT, FloatsT
from ...protocols.cannot_explain import CannotExplain
from ...protocols.found_annotation import FindsSentences
from ...protocols.head import Head, HeadModelT
from ...protocols.head_calibration import temperature_of
from ...protocols.head_explanation import Target, TargetName, check_label, check_place
from ...protocols.head_prediction import TokenLabels, Tree
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import DecidedByVerdicts
from .arc_evidence import ArcEvidence, gold_choices
from .arc_losses import teacher_loss, tree_loss
from .arc_odds import ArcOdds, words_around
from .arc_scores import ArcScores
from .biaffine_network import build_model, grow_labels
from .gold_trees import describe_cycle, find_cycle, gold_trees
from .parse_decoding import SPACE, ParseDecoder, Parses
from .sentence_pieces import DocTokens, Pieces, cut_pieces, read_tokens, window_starts

# The label of roots, as spaCy's converter and UD name it. Where one is a label, roots have it, and nothing else does.
ROOT_LABELS = ("ROOT", "root")
# spaCy's label for what has no relation
SPACE_LABEL = "dep"


def make_dependency_parser_v1(
    sents: str | None = None,
    condition_on: str | list[str] | None = None,
    projective: bool = False,
    arc_width: int = 128,
    label_width: int = 32,
    mlp_dropout: float = 0.1,
    context_width: int = 0,
    context_depth: int = 2,
    max_length: int = 300,
) -> "DependencyParser":
    """Build a dependency parser: biaffine scores of arcs and labels (Dozat and Manning 2017, "Deep Biaffine Attention
    for Neural Dependency Parsing", ICLR), with learned scores of the distance between dependent and head, and of the
    words between them. It writes `head`, `dep` and sentence starts.

    In each sentence the best tree with one root is found exactly (Chu and Liu, Edmonds, Tarjan); arcs may cross. A
    token is missing gold if its `dep` is unset, or if it or its head is not aligned one to one with a gold token; it
    may still be the head of others. The loss is the cross-entropy of the head and of the label at the gold head, in
    nats per token. Main score: `las`; also `uas` and `las_per_type`, all without punctuation as spaCy counts them, and
    `sents_p`, `sents_r` and `sents_f`.

    sents (str | None): Name of a Tagger with `attr = "sent_start"` whose sentences are parsed. Null parses the
        sentences that the doc has already, from an earlier pipe. A doc without any is parsed as a whole: each root
        makes a sentence, as in spaCy.
    condition_on (str | list[str] | None): Names of heads whose predicted distribution each token sees, such as the part
        of speech.
    projective (bool): Find the best tree without crossing arcs (Eisner 1996).
    arc_width (int): Width of the vectors by which arcs are scored.
    label_width (int): Width of the vectors by which labels are scored.
    mlp_dropout (float): Dropout of these vectors and of recurrent layers in training, from 0 to below 1; 0.33
        in the paper, whose trainings are far longer. It is off where the training's own dropout is 0.
    context_width (int): Width of each direction of recurrent layers that see the whole doc, where the encoder sees a
        few neighbours; 0 for none.
    context_depth (int): Number of these layers.
    max_length (int): Number of words after which a sentence is cut, in training and prediction, at least 2. A doc
        without sentences is parsed in windows of so many words.
    """
    for name, value, least in (
        ("arc_width", arc_width, 1),
        ("label_width", label_width, 1),
        ("context_width", context_width, 0),
        ("context_depth", context_depth, 1),
        ("max_length", max_length, 2),
    ):
        if value < least:
            raise ValueError(f"DependencyParser: {name} is {value}; it must be at least {least}")
    if not 0.0 <= mlp_dropout < 1.0:
        raise ValueError(f"DependencyParser: mlp_dropout is {mlp_dropout}; it must be at least 0 and less than 1")
    conditions = [condition_on] if isinstance(condition_on, str) else condition_on or []
    depth = context_depth if context_width else 0
    model = build_model(arc_width, label_width, mlp_dropout, len(conditions), context_width, depth)
    return DependencyParser(model, sents=sents, condition_on=conditions, projective=projective, max_length=max_length)


class DependencyParser(DecidedByVerdicts, ModelLabels):
    """Head that finds dependency trees. The loss is computed per token.

    A token is not annotated if its `dep` is unset, or if it or its head is not aligned one to one with a gold token.
    Gold trees may have crossing arcs, and several roots in a sentence, each of which is learned as a root. An arc
    between two gold sentences joins them, as in `doc.sents`. Heads that go round in a circle are an error.

    White space is in no tree. It is attached to the word before it with the label "dep".

    labels (tuple[str, ...]): Dependency labels.
    """

    main_score = "las"

    def __init__(
        self, model: HeadModelT, *, sents: str | None, condition_on: Sequence[str], projective: bool, max_length: int
    ) -> None:
        self.name = "dependency_parser"
        self.model = model
        self.sents = sents
        self.condition_on = tuple(condition_on)
        self.depends_on = () if sents is None else (sents,)
        self.projective = projective
        self.max_length = max_length
        self._sentences: FindsSentences | None = None

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """The token attributes."""
        return ("token.head", "token.dep")

    @property
    def overlap_fix(self) -> str:
        """What the user can do if two heads write the same."""
        return "keep one of them; a parser leaves sentence starts to a Tagger that its option sents names"

    @property
    def writes(self) -> dict[str, str]:
        """Heads, labels and sentence starts. With `sents` the starts are another head's."""
        own = {"token.head": "", "token.dep": ""}
        return own if self.sents is not None else own | {"token.sent_start": ""}

    @property
    def standard_scores(self) -> Mapping[str, str]:
        """The score keys of spaCy's `parser`."""
        arcs = {"dep_uas": "uas", "dep_las": "las", "dep_las_per_type": "las_per_type"}
        return arcs if self.sents is not None else arcs | {f"sents_{key}": f"sents_{key}" for key in "prf"}

    def _grow(self, n_labels: int) -> None:
        """Grow the layers that score labels."""
        grow_labels(self.model, n_labels)

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all labels of gold tokens, in alphabetical order."""
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the labels of the tokens of a gold doc."""
        return {doc.vocab.strings[int(value)] for value in np.unique(doc.to_array(DEP)) if value}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the labels. A token with a label is one unit."""
        values, numbers = np.unique(doc.to_array(DEP), return_counts=True)
        found = {doc.vocab.strings[int(value)]: int(n) for value, n in zip(values, numbers, strict=True) if value}
        counts.update(found)
        return sum(found.values())

    def count_units(self, examples: Sequence[Example]) -> int:
        """Count the tokens with a label."""
        return sum(int(np.count_nonzero(eg.reference.to_array(DEP))) for eg in examples)

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename labels. A token whose label is dropped has no gold in the target."""
        values: ArrayT = source.to_array(DEP)
        for value in np.unique(values[values != 0]).tolist():
            label = source.vocab.strings[int(value)]
            new = mapping.get(label, label)
            values[values == value] = 0 if new is None else target.vocab.strings.add(new)
        target.from_array(DEP, values)

    def has_gold(self, example: Example) -> bool:
        """Check whether any token has a label."""
        return bool(example.reference.to_array(DEP).any())

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for a gold tree with a circle."""
        for eg in examples:
            mistake = self.find_mistake(eg)
            if mistake is not None:
                raise ValueError(mistake)

    def find_mistake(self, example: Example) -> str | None:
        """Describe the circle in a gold tree; None if there is none."""
        return describe_cycle(example.reference, self.name)

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the head that `sents` names. Raise a ValueError if it finds no sentences."""
        if self.sents is None:
            return
        head = heads[self.sents]
        if not isinstance(head, FindsSentences) or not head.finds_sentences:
            raise ValueError(
                f"head {self.name!r}: sents names {self.sents!r}, which finds no sentences; name a Tagger with "
                'attr = "sent_start", or leave sents out'
            )
        self._sentences = head

    def prepare(
        self, docs: Sequence[Doc], examples: Sequence[Example] | None, found: Mapping[str, AnnotationsT]
    ) -> BoolsT | None:
        """Get the tokens at which the head named by `sents` begins a sentence, (n_tokens,). In training the gold
        sentences count.
        """
        if self.sents is None or examples is not None:
            return None
        assert self._sentences is not None
        starts: BoolsT = self._sentences.found_starts(found[self.sents])
        return starts

    def get_loss(self, examples: Sequence[Example], scores: ArcScores) -> tuple[float, ArcScores | None]:
        """Cross-entropy of heads and labels in nats."""
        gold = gold_trees(examples)
        if not gold.deps.any():
            return 0.0, None
        if len(find_cycle(gold.heads)):
            self.check_gold(examples)
        labels = self._label_indices(examples, gold.deps)
        tokens = read_tokens([eg.predicted for eg in examples], gold.starts)
        loss, gradient = tree_loss(scores, self._pieces(tokens, learned=True), gold.heads, labels)
        n_units = len(labels)
        return loss / n_units, gradient * (1.0 / n_units)

    def get_teacher_loss(self, teacher: ArcScores, scores: ArcScores) -> tuple[float, ArcScores]:
        """Cross-entropy against the teacher's distributions of heads, and of labels at the teacher's best heads, over
        the labels that the teacher has.
        """
        tokens = read_tokens(teacher.docs, teacher.starts)
        loss, gradient = teacher_loss(scores, teacher, self._pieces(tokens, learned=False))
        n_units = max(len(scores.heads), 1)
        return loss / n_units, gradient * (1.0 / n_units)

    def decode(self, docs: Sequence[Doc], scores: ArcScores) -> Parses:
        """The best trees, and the best label of each arc. Only sentences whose words' best heads form no tree take more
        than a maximum.
        """
        return self._decoder(scores).decode()

    def set_annotations(self, docs: Sequence[Doc], annotations: Parses) -> None:
        """Write heads and labels; spaCy derives the sentence starts from them."""
        offsets = bounds(np.array([len(doc) for doc in docs], dtype="int64"))
        values: ArrayT = np.zeros((len(annotations.heads), 2), dtype="uint64")
        values[:, 0] = (annotations.heads - np.arange(len(annotations.heads))).astype("uint64")
        vocab = None
        for doc, start, end in zip(docs, offsets, offsets[1:], strict=False):
            if start == end:
                continue
            if doc.vocab is not vocab:
                vocab = doc.vocab
                stored = [vocab.strings.add(label) for label in (*self.labels, self._root_name, SPACE_LABEL)]
                values[:, 1] = self._stored_labels(annotations, np.array(stored, dtype="uint64"))
            doc.from_array([HEAD, DEP], values[start:end])

    def prediction(self, doc: Doc) -> Tree:
        """Head and label of each token."""
        offsets = doc.to_array(HEAD).astype("int64")
        return Tree((offsets + np.arange(len(doc))).tolist(), TokenLabels.read(doc, DEP).labels)

    def targets(self, doc: Doc, scores: ArcScores, annotations: Parses) -> list[Target]:
        """The arc of each word, as in "nsubj[0:1]": label, dependent and head; a root is its own head."""
        columns = (annotations.heads.tolist(), annotations.labels.tolist())
        names = [
            TargetName(self.labels[label], (place, head))
            for place, (head, label) in enumerate(zip(*columns, strict=True))
            if label != SPACE
        ]
        pieces = self._target_pieces(scores)
        return [self._target(name, pieces) for name in names if self._fits(name, pieces)]

    def find_target(self, name: TargetName, doc: Doc, scores: ArcScores, annotations: Parses) -> Target:
        """Any arc between two words of a sentence, with any label."""
        check_label(name, self.labels, self.name)
        places = check_place(name, doc, self.name, example=TargetName(name.label, (0, 1)))
        pieces = self._target_pieces(scores)
        if max(places) >= len(doc) or not self._fits(name, pieces):
            raise CannotExplain(
                f"head {self.name!r}: the target {str(name)!r} is no arc that the head could find: dependent and head "
                "must be words of the same sentence, not white space; a root is its own head"
            )
        return self._target(name, pieces)

    def _target_pieces(self, scores: ArcScores) -> Pieces:
        return self._pieces(read_tokens(scores.docs, scores.starts), learned=False)

    def _fits(self, name: TargetName, pieces: Pieces) -> bool:
        """Whether dependent and head are in the same piece."""
        words = words_around(pieces, name.places[0])
        return words is not None and name.places[1] in words

    def _target(self, name: TargetName, pieces: Pieces) -> Target:
        """The log-odds of head and label together, against the other heads in the piece and the other labels."""
        words = words_around(pieces, name.places[0])
        assert words is not None
        dependent, head = (int(np.flatnonzero(words == place)[0]) for place in name.places)
        label, at_root = self.labels.index(name.label), dependent == head
        left_out = np.zeros(0, dtype="int64")
        if self._root_label is not None:
            others = [index for index in range(len(self.labels)) if (index == self._root_label) != at_root]
            left_out = np.array([index for index in others if index != label], dtype="int64")
        odds = ArcOdds(words, dependent, 0 if at_root else 1 + head, label, left_out)
        return Target(name, "log-odds", tuple(sorted(set(name.places))), odds.measure)

    def verdicts(self, examples: Sequence[Example]) -> DependencyVerdicts:
        """Compare the predicted arcs and sentences with the gold ones.

        The scores are `uas`, `las` and `las_per_type` without punctuation, and `sents_p`, `sents_r` and `sents_f`.
        A doc is right if every annotated token has its gold head and label.
        The decisions are the label of each token that has gold. A token with a wrong head has two rows: its gold, and
        what was predicted.
        """
        return judge_dependencies(examples)

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Labelled attachment score."""
        return main_score_of_dependencies(counts)

    @property
    def learns_from(self) -> frozenset[str]:
        """Heads and labels."""
        return frozenset({"token.head", "token.dep"})

    def confidence(self, docs: Sequence[Doc], scores: ArcScores) -> NDArray[np.float64]:
        """Get the probability of head and label of the least certain token; 1 for a doc without words."""
        return least_certain(self._arc_probabilities(scores, temperature_of(self.model, "arcs")), docs)

    def token_probabilities(self, docs: Sequence[Doc], scores: ArcScores, annotations: Parses) -> FloatsT:
        """Get the probability of each token's head and label, (n_tokens,); NaN for white space."""
        probabilities = self._arc_probabilities(scores, temperature_of(self.model, "arcs"))
        return np.where(annotations.labels == SPACE, np.nan, probabilities)

    def evidence(self, examples: Sequence[Example], scores: ArcScores) -> list[ArcEvidence]:
        """The head and label of each word that has gold, and whose head the parser could find."""
        found, gold = self.decode([eg.predicted for eg in examples], scores), gold_trees(examples)
        labels = look_up(gold.deps, [get_string_id(label) for label in self.labels])
        rows = np.flatnonzero((gold.deps != 0) & (found.labels != SPACE))
        owners = np.repeat(np.arange(len(examples)), [len(eg.predicted) for eg in examples])
        correct = (found.heads[rows] == gold.heads[rows]) & (found.labels[rows] == labels[rows])

        def rate(temperature: float) -> FloatsT:
            return self._arc_probabilities(scores, temperature)[rows]

        choices = gold_choices(scores, self._target_pieces(scores), gold.heads, labels)
        return [ArcEvidence(owners[rows], correct, rate, choices)]

    def _arc_probabilities(self, scores: ArcScores, temperature: float) -> FloatsT:
        """The probability of the predicted head and label of each token, (n_tokens,)."""
        found = self._decoder(scores, with_probabilities=True, temperature=temperature).decode()
        probabilities: FloatsT = np.exp(found.log_probabilities)
        return probabilities

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether all tokens have the same head and label in both docs."""
        return np.array_equal(one.to_array([HEAD, DEP]), other.to_array([HEAD, DEP]))

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy heads and labels, and with them the sentences."""
        for label in self.gold_labels(source):
            target.vocab.strings.add(label)
        values: ArrayT = source.to_array([HEAD, DEP])
        target.from_array([HEAD, DEP], values)

    @property
    def _root_label(self) -> int | None:
        """The index of the label of roots; None if no label has its name."""
        return next((self.labels.index(label) for label in ROOT_LABELS if label in self.labels), None)

    @property
    def _root_name(self) -> str:
        index = self._root_label
        return ROOT_LABELS[0] if index is None else self.labels[index]

    def _decoder(
        self, scores: ArcScores, *, with_probabilities: bool = False, temperature: float = 1.0
    ) -> ParseDecoder:
        return ParseDecoder(
            scores,
            projective=self.projective,
            max_length=self.max_length,
            root_label=self._root_label,
            with_probabilities=with_probabilities,
            temperature=temperature,
        )

    def _pieces(self, tokens: DocTokens, *, learned: bool) -> Pieces:
        """The pieces in which words may have their heads. Where sentences come from roots, they are whole docs or
        windows, so that the head learns which arcs do not leave a sentence.

        learned (bool): Whether the sentences are gold.
        """
        starts = tokens.starts
        whole = (self.sents is None) if learned else ~tokens.has_sentences
        if np.any(whole):
            windows = window_starts(tokens, max_length=self.max_length)
            starts = np.where(np.repeat(np.broadcast_to(whole, len(tokens.lengths)), tokens.lengths), windows, starts)
        return cut_pieces(tokens.is_space, starts, max_length=self.max_length)

    def _stored_labels(self, annotations: Parses, stored: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The label of each token as spaCy stores it. White space in a sentence without words is a root.

        stored (NDArray[uint64]): The labels, then those of such a root and of other white space.
        """
        at_root = annotations.heads == np.arange(len(annotations.heads))
        index = np.where(annotations.labels == SPACE, len(stored) - 1 - at_root, annotations.labels)
        return stored[index]

    def _label_indices(self, examples: Sequence[Example], deps: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The label index of each token of the batch, (n_tokens,), -1 where it is not annotated."""
        indices = look_up(deps, [get_string_id(label) for label in self.labels])
        unknown = np.flatnonzero((indices < 0) & (deps != 0))
        if len(unknown):
            ends = np.cumsum([len(eg.predicted) for eg in examples])
            doc = examples[int(np.searchsorted(ends, unknown[0], side="right"))].reference
            label = doc.vocab.strings[int(deps[unknown[0]])]
            raise ValueError(
                f"head {self.name!r}: dep {label!r} in doc {snippet(doc.text)} was not seen at initialisation; add it "
                f"with add_label({label!r}, head={self.name!r}), or initialise with examples or labels that have it"
            )
        return indices
