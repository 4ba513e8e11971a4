"""Which scores choose the best model."""

from collections.abc import Mapping, Sequence

from ..protocols.between_heads import TakesConditions
from ..protocols.decodes_jointly import DocClasses
from ..protocols.head import Head
from .config_plan import HeadPlan, Plan

EXACT = "multitask_exact"
SUMS = ("multitask_",)


def choose_scores(plan: Plan, heads: Mapping[str, Head]) -> tuple[dict[str, float], str]:
    """Weigh the main scores of all heads equally. If a head sees the classes of docs, docs in which all is right count
    half. Heads without gold in dev, and scores on single corpora, get 0.

    RETURNS: The weights, and the reason.
    """
    counted = [head for head in plan.heads if heads[head.name].main_score and head.is_scored]
    exact = 0.5 if not plan.corpora and any(sees_classes(heads[head.name], heads) for head in plan.heads) else 0.0
    weights = {EXACT: exact} | shares([score_of(head, heads) for head in counted], 1.0 - exact)
    weights |= {score_of(head, heads): 0.0 for head in plan.heads if heads[head.name].main_score and not head.is_scored}
    for head in counted:
        corpora = plan.corpora_of(head.name, dev=True)
        if len(corpora) > 1:
            weights |= {f"{corpus}/{score_of(head, heads)}": 0.0 for corpus in corpora}
    why = "The main scores of all heads count equally."
    if exact:
        why = "Docs in which all heads are right count half, since one head sees what the other predicts. " + why
    return weights, why


def sees_classes(head: Head, heads: Mapping[str, Head]) -> bool:
    """Whether a head is conditioned on a classifier of docs."""
    names = head.condition_on if isinstance(head, TakesConditions) else ()
    return any(isinstance(heads.get(name), DocClasses) for name in names)


def score_of(plan: HeadPlan, heads: Mapping[str, Head]) -> str:
    """The key of a head's main score."""
    return f"{plan.name}_{heads[plan.name].main_score}"


def shares(keys: Sequence[str], total: float) -> dict[str, float]:
    """Equal weights with two decimals that sum to the total: the first gets what is left over."""
    if not keys:
        return {}
    share = int(100 * total / len(keys) + 1e-6) / 100
    return {key: round(total - share * (len(keys) - 1), 2) if not place else share for place, key in enumerate(keys)}


def check_scores(scores: Mapping[str, float], plan: Plan) -> None:
    """Raise a ValueError for a score of a head, or on a corpus, that does not exist."""
    corpora, names = [corpus.name for corpus in plan.corpora], [head.name for head in plan.heads]
    for key in scores:
        corpus, sign, score = key.rpartition("/")
        known = score.startswith(SUMS) or any(score.startswith(f"{name}_") for name in names)
        if not known or (sign and corpus not in corpora):
            raise ValueError(
                f"--scores: {key!r} is no score of a head; expected HEAD_SCORE or CORPUS/HEAD_SCORE, as in "
                f"{names[0]}_f, with the heads {', '.join(names)}"
            )
