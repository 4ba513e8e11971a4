"""The heads of the pipeline that a reader reads for: they say what gold they learn from."""

from collections.abc import Collection
from typing import Any

from spacy.language import Language

from ..protocols.head import HasHeads, Head


def heads_of_pipeline(nlp: Language, names: Collection[str] | None = None) -> dict[str, Head]:
    """The heads of all components that have any, disabled ones too.

    names (Collection[str] | None): Only these heads; None for all.
    """
    pipes: list[Any] = [pipe for _, pipe in nlp.components]
    heads = {key: head for pipe in pipes if isinstance(pipe, HasHeads) for key, head in pipe.heads.items()}
    return heads if names is None else {key: head for key, head in heads.items() if key in names}
