"""Initialization of heads and networks: labels from gold, sizes from a sample."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from spacy.language import Language
from spacy.training import Example
from thinc.types import Ragged

from ..network.run_heads import AllScoresT, condition_on, conditions_of
from ..origin import corpora_in
from ..protocols.arrays import EncoderT
from ..protocols.head import Head, HeadInput
from ..protocols.head_gold import FitsGold
from ..protocols.head_labels import HasLabels, KeepsPlaces
from ..protocols.sharing import SharingInput
from .decoding import Decoding
from .head_views import HeadViews
from .initial_weights import InitialWeights

# Examples from which networks take their sizes.
N_SAMPLE = 10


def set_labels(
    heads: Mapping[str, Head],
    views: HeadViews,
    given: Mapping[str, Sequence[str]],
    *,
    n_examples: int,
    name: str,
    loaded: Collection[str] = (),
) -> None:
    """Set the labels of all heads that have any.

    views (HeadViews): Gold examples, from which heads take the labels that are not given.
    given (Mapping[str, Sequence[str]]): Labels by head name.
    name (str): The component's name, for messages.
    loaded (Collection[str]): Heads that get labels from a trained pipeline, and so need none from gold.
    """
    able = [key for key, head in heads.items() if isinstance(head, HasLabels)]
    unknown = sorted(set(given) - set(able))
    if unknown:
        raise ValueError(f"component {name!r}: labels are given for {unknown}, but the heads with labels are {able}")
    for key, head in heads.items():
        if not isinstance(head, HasLabels):
            continue
        if key in given:
            for label in given[key]:
                head.add_label(label)
        else:
            collect_labels(head, views.of(key))
        if not head.labels and key not in loaded:
            raise ValueError(
                f"head {key!r}: none of the {n_examples} examples to initialise from carries its annotation "
                f"({', '.join(head.gold_attributes)}), so it has no labels; add such examples, or list the labels in "
                f"[initialize.components.{name}.labels]"
            )


def collect_labels(head: HasLabels, examples: Sequence[Example]) -> None:
    """Add the labels of gold examples to those that the head has."""
    before = head.labels
    head.collect_labels(examples)
    if before and isinstance(head, KeepsPlaces):
        head.put_first(before)
        return
    for label in before:
        head.add_label(label)


def fit_gold(heads: Mapping[str, Head], views: HeadViews) -> None:
    """Let the heads measure their gold."""
    for key, head in heads.items():
        if isinstance(head, FitsGold):
            head.fit_gold(views.of(key))


def sample_of(examples: Iterable[Example]) -> list[Example]:
    """The first examples with tokens, from which networks take their sizes."""
    return list(islice((eg for eg in examples if len(eg.predicted)), N_SAMPLE))


def initialize_networks(
    encoder: EncoderT,
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    examples: Sequence[Example],
    *,
    fresh: Collection[str],
    old: InitialWeights | None,
    nlp: Language | None,
    name: str,
) -> None:
    """Set the sizes of the encoder and of the heads over it, and draw or load their weights.

    heads (Mapping[str, Head]): All heads with their labels, in the order in which they run.
    pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
    fresh (Collection[str]): The heads to initialise; the others are loaded already.
    old (InitialWeights | None): The trained pipeline from which the encoder is loaded.
    nlp (Language | None): The new pipeline.
    name (str): The component's name, for messages.
    RAISES ValueError: All texts are empty, or the encoder has another shape than the old one.
    """
    if not any(len(eg.predicted) for eg in examples):
        raise ValueError(f"component {name!r}: all {len(examples)} examples have empty texts")
    sample = sample_of(examples)
    docs = [eg.predicted for eg in sample]
    if old is not None:
        old.name_in_sharing(encoder)
    encoder.initialize(docs)
    if old is not None:
        old.load_encoder(encoder, nlp, docs)
    initialize_heads(encoder, heads, pairs, sample, fresh=fresh)


def initialize_heads(
    encoder: EncoderT,
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    sample: Sequence[Example],
    *,
    fresh: Collection[str],
) -> None:
    """Set the sizes of heads over an encoder that has its own, and draw their weights.

    heads (Mapping[str, Head]): All heads, in the order in which they run.
    pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
    sample (Sequence[Example]): A few examples with tokens.
    fresh (Collection[str]): The heads to initialise; the others stay as they are.
    """
    docs = [eg.predicted for eg in sample]
    tokvecs = encoder.predict(docs)
    sharing = encoder.maybe_get_ref("sharing")
    views: Mapping[str, Ragged] = dict.fromkeys(heads, tokvecs)
    if sharing is not None:
        views = sharing.predict(SharingInput(docs, tokvecs))
    decoding = Decoding(heads, pairs, docs, HeadViews(sample))
    scores: AllScoresT = {}
    for key, head in heads.items():
        conditions = [condition_on(heads[other], scores[other], tokvecs)[0] for other in conditions_of(head)]
        head_input = HeadInput(docs, views[key], conditions, decoding.prepare(key, scores))
        if key in fresh:
            head.model.initialize(head_input)
        scores[key] = head.model.predict(head_input)


def name_for_sharing(encoder: EncoderT, heads: Mapping[str, Head], examples: Sequence[Example]) -> None:
    """Tell the sharing layer, if there is one, the names of all heads and corpora."""
    sharing = encoder.maybe_get_ref("sharing")
    if sharing is not None:
        sharing.attrs["heads"] = list(heads)
        sharing.attrs["corpora"] = corpora_in(eg.reference for eg in examples)
