"""What a training's log has to show: a score for each head, and the losses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.ty import ListenedToComponent

from ..protocols.head import HasHeads, KeepsHeads


@dataclass(frozen=True)
class Column:
    """A column of the log.

    key (str): Where spaCy has the value, in its scores or in its losses.
    title (tuple[str, ...]): The title by words: ("intent", "acc"), ("slots", "loss").
    """

    key: str
    title: tuple[str, ...]


@dataclass(frozen=True)
class LogColumns:
    """The columns of a pipeline's log.

    scores (list[Column]): The main score of each head, then the other scores that the config names.
    head_losses (list[Column]): The loss of each head, then those of kept heads against the old pipeline.
    other_losses (list[Column]): The loss of each component without heads.
    totals (list[Column]): The loss of each component with heads: the weighted sum of theirs.
    """

    scores: list[Column]
    head_losses: list[Column]
    other_losses: list[Column]
    totals: list[Column]


def find_columns(nlp: Language) -> LogColumns:
    """Find the columns for a pipeline.

    nlp (Language): The pipeline, with its frozen components disabled.
    """
    pipes: dict[str, Any] = dict(nlp.pipeline)
    heads = {name: pipe.heads for name, pipe in pipes.items() if isinstance(pipe, HasHeads)}
    losses = [Column(f"{name}/{key}", (key, "loss")) for name, found in heads.items() for key in found]
    kept = [
        Column(f"{name}/keep/{key}", (key, "keep"))
        for name, pipe in pipes.items()
        if isinstance(pipe, KeepsHeads)
        for key in pipe.keep
    ]
    scores = [
        Column(f"{key}_{head.main_score}", (key, head.main_score))
        for found in heads.values()
        for key, head in found.items()
        if head.main_score is not None
    ]
    shown = {column.key for column in scores}
    others = [key for key, weight in nlp.config["training"]["score_weights"].items() if weight is not None]
    return LogColumns(
        scores=[*scores, *(Column(key, tuple(key.rsplit("_", 1))) for key in others if key not in shown)],
        head_losses=[*losses, *kept],
        other_losses=[loss_of(name) for name, pipe in pipes.items() if name not in heads and has_loss(pipe)],
        totals=[loss_of(name) for name in heads],
    )


def loss_of(component: str) -> Column:
    """The column of a component's loss."""
    return Column(component, (component, "loss"))


def has_loss(pipe: Callable[..., Any]) -> bool:
    """Whether a component is trained and has a loss of its own. What encoders report is the size of their gradient."""
    return bool(getattr(pipe, "is_trainable", False)) and not isinstance(pipe, ListenedToComponent)
