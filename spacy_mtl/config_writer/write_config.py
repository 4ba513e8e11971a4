"""From a request to the text of a complete config."""

from dataclasses import dataclass
from typing import Any

from spacy.schemas import ConfigSchemaTraining
from spacy.util import CONFIG_SECTION_ORDER, load_model_from_config, registry
from thinc.api import Config

from ..pipeline.checks import check_overlap
from ..protocols.head import Head
from ..readers.pipeline_heads import heads_of
from .commented_config import CommentedConfig, as_text
from .config_plan import Plan
from .header import header_lines
from .loss_weights import set_loss_weights
from .plan_from_data import plan_from_data
from .plan_from_request import plan_from_request
from .request import Request
from .score_choice import check_scores, choose_scores
from .sections import MULTITASK, compose

MAX_STEPS = "${training.max_steps}"


@dataclass(frozen=True)
class Written:
    """A config as text, and the plan behind it."""

    text: str
    plan: Plan


def write_config(request: Request, output: str) -> Written:
    """Write a config that is complete: `spacy init fill-config` has nothing to add.

    output (str): The file that it is for, as the header names it.
    RAISES ValueError: What is asked for does not fit together, or the data has no annotation.
    """
    plan = plan_from_data(request) if request.looks_at_data else plan_from_request(request)
    heads = {head.name: head.make() for head in plan.heads}
    set_weights(request, plan, heads)
    scores, why = choose_scores(plan, heads)
    if request.scores:
        check_scores(request.scores, plan)
        scores, why = dict(request.scores), ""
    plan.why["training.score_weights"] = why
    composed = compose(request, plan, heads, scores)
    filled = fill(composed)
    for name, _ in request.settings:
        check_setting(filled, name)
    return Written(as_text(filled, composed.comments, header_lines(request, plan, heads, filled, output)), plan)


def set_weights(request: Request, plan: Plan, heads: dict[str, Head]) -> None:
    """Set the factors of the losses: those of a rule, and those that the user gave."""
    why = set_loss_weights(plan.heads, heads, plan.mean_length)
    plan.why[f"{MULTITASK}.weighting"] = "" if request.weights else why
    unknown = sorted(set(request.weights) - set(heads))
    if unknown:
        raise ValueError(f"--weight: there is no head {unknown[0]!r}; the heads are {', '.join(heads)}")
    for head in plan.heads:
        head.weight = request.weights.get(head.name, head.weight)


def fill(composed: CommentedConfig) -> Config:
    """Add all defaults, as `spacy init fill-config` does. Raise a ValueError for values that a setting can't have, and
    for heads that do not go together.
    """
    nlp = load_model_from_config(Config(composed.config), auto_fill=True, validate=False)
    nlp = load_model_from_config(nlp.config)
    check_overlap(heads_of(nlp.pipeline))
    filled = nlp.config.interpolate()
    registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    registry.fill({"corpora": filled["corpora"]})
    config = nlp.config
    # `spacy debug data` reads this section without the variables that stand for its own settings.
    config["training"]["optimizer"] = with_number(config["training"]["optimizer"], filled["training"]["max_steps"])
    return config


def with_number(settings: Any, max_steps: int) -> Any:
    """Replace `${training.max_steps}` by the number."""
    if isinstance(settings, dict):
        return {key: with_number(value, max_steps) for key, value in settings.items()}
    return max_steps if settings == MAX_STEPS else settings


def check_setting(config: Config, name: str) -> None:
    """Raise a ValueError if a setting is not there any more: spaCy drops what it does not know."""
    section: Any = {key: config[key] for key in CONFIG_SECTION_ORDER if key in config}
    *path, last = name.split(".")
    for part in path:
        section = section.get(part, {})
    if last not in section:
        known = ", ".join(section) or "nothing"
        raise ValueError(f"--set {name}: there is no such setting; [{'.'.join(path)}] has {known}")
