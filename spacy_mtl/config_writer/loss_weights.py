"""The first guess at the factors of the losses: how a doc's loss compares to that of its tokens."""

from collections.abc import Mapping, Sequence

from ..protocols.head import Head
from ..protocols.head_training import Adversarial
from .config_plan import HeadPlan

# Where docs have both classes and labels of tokens, a doc's loss counts as much as those of two tokens.
TOKENS_OF_A_DOC = 2.0
# the ratio where the lengths of docs are not known, as in configs/cpu.cfg
RATIO, SMALLEST, LARGEST = 4.0, 1.0, 10.0


def set_loss_weights(plans: Sequence[HeadPlan], heads: Mapping[str, Head], mean_length: float | None) -> str:
    """Set the weights of heads whose losses are computed per doc, and of those that are computed per token.

    mean_length (float | None): Tokens of the docs that have gold of both kinds; None if it is not known.
    RETURNS: The reason; empty if all weights are 1.
    """
    of_docs = [plan for plan in plans if plan.preset.unit == "docs" and not isinstance(heads[plan.name], Adversarial)]
    of_tokens = [plan for plan in plans if plan.preset.unit == "tokens"]
    if not of_docs or not of_tokens:
        return ""
    ratio = RATIO if mean_length is None else min(max(round(mean_length / TOKENS_OF_A_DOC, 1), SMALLEST), LARGEST)
    for plan in of_tokens if len(of_tokens) == 1 else of_docs:
        plan.weight = ratio if len(of_tokens) == 1 else round(1 / ratio, 2)
    why = (
        f"A loss is per doc for {_named(of_docs)}, and per token for {_named(of_tokens)}: the latter count {ratio:g} "
        "times as much"
    )
    if mean_length is None:
        return f"{why}."
    return f"{why}, since these docs have {mean_length:.1f} tokens on average, and a doc counts as two of them."


def _named(plans: Sequence[HeadPlan]) -> str:
    return ", ".join(plan.name for plan in plans)
