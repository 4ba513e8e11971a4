"""The mean of several trained pipelines, or of those among them that make it better on dev: a greedy soup."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.util import load_model

from ..head_keys import unambiguous
from ..protocols.head import HasHeads
from ..protocols.head_calibration import ATTR as CALIBRATION
from ..protocols.head_calibration import calibration_of
from ..readers.corpus import Corpus
from ..whole_folder import check_writable, write_whole
from .mean_weights import check_same, write_mean

SCORE = "multitask_score"


@dataclass
class Ingredient:
    """A pipeline that was tried. path (str): Its folder. score (float | None): Its own dev score.
    mean_score (float | None): Dev score of the mean with it. is_used (bool): Whether it is in the mean.
    """

    path: str
    score: float | None = None
    mean_score: float | None = None
    is_used: bool = True


@dataclass
class Soup:
    """The result.

    nlp (Language): The mean.
    ingredients (list[Ingredient]): In the order in which they were tried.
    score (float | None): Its dev score; None without a dev set.
    uncalibrated (list[str]): The heads whose calibration in a pipeline of the mean was dropped, since it was fitted to
        other weights.
    """

    nlp: Language
    ingredients: list[Ingredient] = field(default_factory=list)
    score: float | None = None
    uncalibrated: list[str] = field(default_factory=list)


def average_to_disk(paths: Sequence[str], output: Path, *, dev: Path | None = None, replace: bool = False) -> Soup:
    """Average saved pipelines, and save the result, all of it or nothing. Arguments and errors as those of `average`.

    output (Path): Folder that is new or empty.
    replace (bool): Replace a pipeline that is there.
    """
    check_writable(output, replace=replace)
    soup = average(paths, dev=dev)
    used = [one.path for one in soup.ingredients if one.is_used]
    own = soup.nlp.meta.setdefault("spacy_mtl", {})
    own["averaged"] = used
    if soup.uncalibrated:
        own["uncalibrated"] = soup.uncalibrated
    write_whole(soup.nlp, output)
    return soup


def average(paths: Sequence[str], *, dev: Path | None = None) -> Soup:
    """Average the weights of pipelines that were trained from one config.

    paths (Sequence[str]): At least two pipelines: folders or installed packages.
    dev (Path | None): Gold docs for a greedy soup (Wortsman et al. 2022): the pipelines are tried in the order of their
        dev scores, and each stays in the mean if the score does not fall.
    RAISES ValueError: Their configs, labels or shapes differ, or they have no `multitask_score`.
    """
    if len(paths) < 2:
        raise ValueError(f"there is nothing to average in {list(paths)}; name at least two pipelines")
    pipelines = [load(path) for path in paths]
    for path, nlp in zip(paths[1:], pipelines[1:], strict=True):
        check_same(pipelines[0], nlp, (paths[0], path))
    if dev is None:
        ingredients = [Ingredient(path) for path in paths]
        return Soup(mean(paths[0], pipelines), ingredients, uncalibrated=calibrated_heads(pipelines))
    return greedy(paths, pipelines, lambda nlp: dev_score(nlp, dev))


def greedy(paths: Sequence[str], pipelines: Sequence[Language], score: Callable[[Language], float]) -> Soup:
    """Make a soup of those pipelines that do not lower the score."""
    scores = [score(nlp) for nlp in pipelines]
    order = sorted(range(len(paths)), key=lambda place: -scores[place])
    chosen = [order[0]]
    soup = Soup(mean(paths[order[0]], [pipelines[order[0]]]), score=scores[order[0]])
    soup.ingredients.append(Ingredient(paths[order[0]], scores[order[0]], scores[order[0]]))
    for place in order[1:]:
        tried = mean(paths[order[0]], [pipelines[one] for one in (*chosen, place)])
        found = score(tried)
        assert soup.score is not None
        is_used = found >= soup.score
        soup.ingredients.append(Ingredient(paths[place], scores[place], found, is_used))
        if is_used:
            chosen.append(place)
            soup.nlp, soup.score = tried, found
    soup.nlp.meta["performance"] = {SCORE: soup.score}
    soup.uncalibrated = calibrated_heads([pipelines[place] for place in chosen])
    return soup


def mean(path: str, pipelines: Sequence[Language]) -> Language:
    """The mean of pipelines, as a new one. path (str): The pipeline that everything but weights and scores is taken
    from.
    """
    nlp = load(path)
    nlp.meta["performance"] = {}
    nlp.meta.get("spacy_mtl", {}).pop(CALIBRATION, None)
    write_mean(nlp, pipelines)
    return nlp


def calibrated_heads(pipelines: Sequence[Language]) -> list[str]:
    """The heads that are calibrated in one of the pipelines."""
    held: dict[str, dict[str, None]] = {}
    for nlp in pipelines:
        pipes: list[tuple[str, Any]] = nlp.components
        for component, pipe in pipes:
            heads = pipe.heads.items() if isinstance(pipe, HasHeads) else ()
            held.setdefault(component, {}).update({key: None for key, head in heads if calibration_of(head.model)})
    return list(unambiguous(held))


def load(path: str) -> Language:
    """Load a pipeline. Raises a ValueError that names it if there is none."""
    try:
        return load_model(path)
    except OSError as error:
        raise ValueError(f"{path}: {error}") from error


def dev_score(nlp: Language, dev: Path) -> float:
    """The mean of the heads' main scores on dev, on gold tokens."""
    examples: list[Example] = list(Corpus(dev)(nlp))
    score = nlp.evaluate(examples).get(SCORE)
    if score is None:
        raise ValueError(
            f"the pipelines have no {SCORE} on {dev}; they need a component multitask, and the docs gold for it"
        )
    return float(score)
