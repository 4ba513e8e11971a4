"""The heads that a training trains, as settings of callbacks name them."""

from collections.abc import Iterable
from typing import Any

from spacy.language import Language
from spacy.util import logger

from ..pipeline.head_progress import SelectionT
from ..protocols.head import HasHeads


def components_with_heads(nlp: Language) -> dict[str, Any]:
    """The components with heads that are trained, by name, in the order in which they run and are scored."""
    frozen = nlp.config["training"]["frozen_components"]
    pipes: list[tuple[str, Any]] = list(nlp.pipeline)
    return {name: pipe for name, pipe in pipes if isinstance(pipe, HasHeads) and name not in frozen}


def find_heads(nlp: Language, names: Iterable[str], setting: str) -> dict[str, tuple[str, str]]:
    """Find the component and the head that each name stands for: "head", or "component/head" if several components
    have a head of that name.

    setting (str): Whose names they are, for errors: "HeadPatience: patience".
    RAISES ValueError: A name stands for no head that is trained, for several ones, or for a head without main score.
    """
    components = components_with_heads(nlp)
    heads = {(name, key): head for name, pipe in components.items() for key, head in pipe.heads.items()}
    scored = {place for place, head in heads.items() if head.main_score is not None}
    return {name: _find(name, heads.keys(), scored, setting) for name in names}


def _find(name: str, heads: Iterable[tuple[str, str]], scored: set[tuple[str, str]], setting: str) -> tuple[str, str]:
    found = [place for place in heads if name in (place[1], "/".join(place))]
    if not found:
        raise ValueError(f"{setting} names {name!r}, but the heads that are trained are {[key for _, key in heads]}")
    if len(found) > 1:
        raise ValueError(
            f"{setting} names {name!r}, which is a head of several components; write one of "
            f"{['/'.join(place) for place in found]}"
        )
    if found[0] not in scored:
        raise ValueError(f"{setting} names {name!r}, a head without a main score, which only serves other heads")
    return found[0]


def select_by(nlp: Language, key: str, selection: SelectionT) -> None:
    """Let the last component add a score to select the best model by, since it knows the scores of the others.

    RAISES ValueError: No component with heads is trained.
    """
    components = components_with_heads(nlp)
    if not components:
        raise ValueError(f"{key}: none of the components that are trained, {nlp.pipe_names}, has heads")
    components[list(components)[-1]].selections[key] = selection
    if not nlp.config["training"]["score_weights"].get(key):
        logger.warning(
            "a callback computes %s, but [training.score_weights] has no weight for it: the best model is selected by "
            "other scores. Set %s = 1.0 and multitask_score = 0.0 there",
            key,
            key,
        )
