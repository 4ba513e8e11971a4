"""The heads of a component as a table."""

from collections.abc import Iterator

from spacy.language import Language

from ..protocols.head_labels import HasLabels
from .forgetting import OLD_HEADS
from .multitask import Multitask
from .parameter_counts import count_parameters

HEADER = ("head", "kind", "labels", "parameters", "main score")
# Labels that are named; of more, the number is given.
MAX_LABELS = 6


def head_rows(nlp: Language, component: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Describe each head: name, kind, labels, number of parameters, and main score if the pipeline's meta has one, with
    that of the pipeline that the training began from.
    """
    pipe = nlp.get_pipe(component)
    assert isinstance(pipe, Multitask)
    scores = nlp.meta.get("performance", {})
    old = nlp.meta.get("spacy_mtl", {}).get(OLD_HEADS, {}).get(component, {})
    for key, head in pipe.heads.items():
        labels = head.labels if isinstance(head, HasLabels) else ()
        shown = ", ".join(labels) if len(labels) <= MAX_LABELS else f"{len(labels)} labels"
        score = scores.get(f"{key}_{head.main_score}")
        main = "-" if head.main_score is None else head.main_score
        value = f"{main} {100 * score:.1f}" if isinstance(score, float) else main
        before = old.get(key, {}).get("before")
        value += "" if before is None else f" ({100 * before:.1f} before)"
        yield key, type(head).__name__, shown or "-", f"{count_parameters(head.model):,}", value
