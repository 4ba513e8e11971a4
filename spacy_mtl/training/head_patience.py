"""The callback that gives heads a patience of their own.

Tasks that are trained together are at their best at different times (Caruana 1997, "Multitask Learning"). Stopping them
one by one keeps those that are done from moving what is shared (Zhang et al. 2014, "Facial Landmark Detection by Deep
Multi-task Learning": task-wise early stopping; Lu et al. 2020, "12-in-1: Multi-Task Vision and Language Representation
Learning": tasks stop and go).
"""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from spacy.language import Language

from ..pipeline.head_progress import FreezeT, Patience
from .trained_heads import components_with_heads, find_heads

BeforeUpdateT = Callable[[Language, dict[str, Any]], None]


def make_head_patience_v1(patience: dict[str, int], freeze_when_done: dict[str, str] | None = None) -> BeforeUpdateT:
    """Build the callback that lets each head stop when its own score no longer improves, for
    `[training.before_update]`.

    A head is done at the first evaluation that is `patience` or more steps after its best one: steps, as in spaCy's own
    `patience`, so that the meaning does not depend on `eval_frequency`. It is done for good. Then

    - it gets the weights of its best evaluation back, averages if these were evaluated. That happens now, while the
      encoder is still near the one that these weights fit. At the end of the training it would put a head of one
      encoder on another. The whole pipeline at its best is spaCy's model-best.
    - its loss moves nothing but the head itself ("encoder"): neither the encoder, nor a sharing layer, nor heads that
      it is conditioned on. It can follow the encoder, which the others still move, but can't bend it to its own few
      docs. Or its loss moves nothing ("head"), for a head that would overfit on any encoder. What other heads send
      through it to the encoder passes.
    - the weighting balances the other heads as if it were not there. With "encoder" its loss keeps its last factor.

    patience (dict[str, int]): Number of steps without a better main score on dev after which a head is done, by head.
        Heads that are not named are never done. If several components have a head of this name, write
        "component/head".
    freeze_when_done (dict[str, str] | None): What the loss of a head that is done no longer moves, by head: "encoder",
        the default, or "head".
    """
    freeze = freeze_when_done or {}
    check_settings(patience, freeze)
    settings = {name: Patience(steps, cast(FreezeT, freeze.get(name, "encoder"))) for name, steps in patience.items()}

    def before_update(nlp: Language, info: dict[str, Any]) -> None:
        if info["step"] == 0:
            begin(nlp, settings)

    return before_update


def check_settings(patience: Mapping[str, int], freeze: Mapping[str, str]) -> None:
    """Raise a ValueError for numbers and names that can't be used."""
    wrong = {name: steps for name, steps in patience.items() if steps < 1}
    if wrong:
        raise ValueError(f"HeadPatience: patience must be a number of steps of at least 1, but there is {wrong}")
    unknown = sorted(freeze.keys() - patience.keys())
    if unknown:
        raise ValueError(f"HeadPatience: freeze_when_done names {unknown}, which have no patience; give them one")
    choices = list(get_args(FreezeT))
    other = {name: what for name, what in freeze.items() if what not in choices}
    if other:
        raise ValueError(f"HeadPatience: freeze_when_done must be one of {choices}, but there is {other}")


def begin(nlp: Language, patience: Mapping[str, Patience]) -> None:
    """Tell the components the patience of their heads.

    RAISES ValueError: A name does not stand for one head with a main score, of a component that is trained.
    """
    places = find_heads(nlp, patience, "HeadPatience: patience")
    for name, pipe in components_with_heads(nlp).items():
        own = {key: patience[given] for given, (component, key) in places.items() if component == name}
        pipe.progress.begin(nlp.meta, name, own)
