"""The heads of a pipeline: they say what gold they learn from, and what they report."""

from collections.abc import Callable, Iterable
from typing import Any

from ..protocols.head import HasHeads, Head


def heads_of(components: Iterable[tuple[str, Callable[..., Any]]]) -> dict[str, Head]:
    """The heads of all components that have any, by name.

    components (Iterable[tuple[str, Callable]]): `nlp.components`, which has disabled ones too, or `nlp.pipeline`.
    """
    pipes: list[Any] = [pipe for _, pipe in components]
    return {key: head for pipe in pipes if isinstance(pipe, HasHeads) for key, head in pipe.heads.items()}
