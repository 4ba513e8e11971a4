"""The forward pass in prediction: the encoder, and of the heads only those that are needed."""

from collections.abc import Callable, Mapping, Sequence

from spacy.tokens import Doc
from thinc.types import Ragged

from ..network.listeners import check_vectors
from ..network.run_heads import AllScoresT, MultitaskModelT, run_heads
from ..protocols.arrays import AnnotationsT, PreparedT
from ..protocols.head import Head
from ..threads.blas_threads import one_blas_thread
from .decoding import Decoding
from .doc_confidence import Annotated, DocConfidence
from .run_order import needed_heads


def run_to_predict(
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    docs: list[Doc],
    names: Sequence[str],
    *,
    name: str,
    prepared: Mapping[str, PreparedT] | None = None,
) -> tuple[Decoding, AllScoresT]:
    """Run some heads, and those that they need.

    model (MultitaskModelT): The network.
    heads (Mapping[str, Head]): All heads, in the order in which they run.
    pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
    docs (list[Doc]): The batch. Over a listener the docs must have passed the upstream pipe.
    names (Sequence[str]): The heads whose annotation is wanted.
    name (str): The component's name, for messages.
    prepared (Mapping[str, PreparedT] | None): What heads get in the place of what they would prepare.
    RETURNS: what decodes the heads, and their scores.
    """
    encoder = model.get_ref("encoder")
    if any(len(doc) for doc in docs):
        check_vectors(model, docs, name)
        tokvecs = encoder.predict(docs)
    else:
        tokvecs = Ragged(model.ops.alloc2f(0, encoder.get_dim("nO")), model.ops.alloc1i(len(docs)))
    decoding = Decoding(heads, pairs, docs, prepared=prepared)
    needed = needed_heads(heads, pairs, names)
    run = run_heads(model, heads, docs, tokvecs, is_train=False, prepare=decoding.prepare, only=needed)
    return decoding, run.scores


def annotate_with(
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    docs: list[Doc],
    names: Sequence[str],
    *,
    name: str,
    sure: Callable[[Decoding, AllScoresT], DocConfidence] | None = None,
) -> dict[str, AnnotationsT]:
    """Compute the annotation of the docs by some heads, without writing it. Arguments as those of `run_to_predict`.

    sure (Callable | None): Computes what the annotation is returned with (`Annotated`).
    """
    with one_blas_thread(sum(map(len, docs))):
        decoding, scores = run_to_predict(model, heads, pairs, docs, names, name=name)
        found = {key: decoding.revised(key, scores) for key in names}
        return found if sure is None else Annotated(found, sure(decoding, scores))
