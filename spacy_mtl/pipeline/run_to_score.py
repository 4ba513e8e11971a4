"""What runs before docs are scored: heads that leave on the docs what only scores need."""

from collections.abc import Mapping, Sequence

from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch

from ..network.run_heads import MultitaskModelT
from ..protocols.between_heads import ScoredFromGold
from ..protocols.head import Head
from ..threads.blas_threads import one_blas_thread
from .head_views import HeadViews
from .prediction import annotate_with, run_to_predict

# docs that are run at once
N_SCORED = 256


def run_silent_heads(
    model: MultitaskModelT, heads: Mapping[str, Head], pairs: Mapping[str, str], docs: Sequence[Doc], *, name: str
) -> None:
    """Let the heads that `predict` passes over leave on the docs what they are scored by."""
    silent = [key for key, head in heads.items() if not head.writes]
    for batch in minibatch(docs, size=N_SCORED) if silent else ():
        annotated = list(batch)
        for key, annotations in annotate_with(model, heads, pairs, annotated, silent, name=name).items():
            heads[key].set_annotations(annotated, annotations)


def run_from_gold(
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    examples: Sequence[Example],
    *,
    name: str,
) -> None:
    """Let the heads that are also scored on the gold of other heads leave on the docs what they make of it."""
    able = {key: head for key, head in heads.items() if isinstance(head, ScoredFromGold)}
    for batch in minibatch(examples, size=N_SCORED) if able else ():
        batch = list(batch)
        docs, views = [eg.predicted for eg in batch], HeadViews(batch)
        gold = {key: head.prepare_from_gold(docs, views.of(key)) for key, head in able.items()}
        with one_blas_thread(sum(map(len, docs))):
            decoding, scores = run_to_predict(model, heads, pairs, docs, list(able), name=name, prepared=gold)
            for key, head in able.items():
                head.note_from_gold(docs, decoding.annotation(key, scores))
