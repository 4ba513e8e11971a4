"""The component's weights in `[training.score_weights]`, and a warning where they count though nobody named them."""

from collections.abc import Mapping
from typing import Any

from spacy.language import Language
from spacy.util import logger


class UnnamedWeight(float):
    """A default weight. spaCy merges the defaults of all components with the weights that a config names, and divides
    by their sum: this type lasts through both, so that it still tells a default from what a user wrote.
    """

    def __truediv__(self, other: float) -> "UnnamedWeight":
        return UnnamedWeight(float(self) / other)

    def __round__(self, ndigits: int | None = None) -> "UnnamedWeight":  # type: ignore[override]
        return UnnamedWeight(round(float(self), ndigits))


DEFAULT_WEIGHTS: dict[str, float | None] = {
    "multitask_score": UnnamedWeight(1.0),
    "multitask_exact": UnnamedWeight(0.0),
}
# Scores that exist only if a callback computes them, each with the callback.
SELECTIONS = {"multitask_worst": "spacy_mtl.SelectWorst.v1", "multitask_pareto": "spacy_mtl.SelectPareto.v1"}


def check_selection(nlp: Language) -> None:
    """Raise a ValueError if the config weighs a score that nothing computes. spaCy would leave it out and select the
    best model by what remains.
    """
    training = nlp.config["training"]
    for score, callback in SELECTIONS.items():
        if training.get("score_weights", {}).get(score) and callback not in values_in(training.get("before_update")):
            raise ValueError(
                f"[training.score_weights] has a weight for {score}, which only the callback {callback} computes; set "
                "it in [training.before_update], or leave the weight out"
            )


def values_in(section: Any) -> list[Any]:
    """All values under a section of a config, at any depth."""
    if not isinstance(section, Mapping):
        return [section]
    return [value for part in section.values() for value in values_in(part)]


def warn_of_unnamed_weight(nlp: Language) -> None:
    """Log a warning if the config names score weights, `multitask_score` is not among them, and it counts nonetheless:
    the best model is then not the one that the user asked for.
    """
    weights = nlp.config["training"].get("score_weights", {})
    defaults = {key for name in nlp.component_names for key in nlp.get_pipe_meta(name).default_score_weights or ()}
    named = [
        key
        for key, weight in weights.items()
        if weight and not isinstance(weight, UnnamedWeight) and (key in DEFAULT_WEIGHTS or key not in defaults)
    ]
    if not named or not isinstance(weights.get("multitask_score"), UnnamedWeight):
        return
    terms = " + ".join(f"{float(weight):g} * {key}" for key, weight in weights.items() if weight)
    logger.warning(
        "[training.score_weights] names %s but not multitask_score, which spaCy adds with its default weight: the "
        "score that selects the best model is %s. Set multitask_score = 0.0 there to leave it out, or give it a weight",
        ", ".join(named),
        terms,
    )
