"""A few docs of a corpus whose predictions are worth explaining, right and wrong ones, with all heads side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..protocols.decisions import NOTHING, Decisions
from ..protocols.head_explanation import Target
from ..report.instructive_errors import choose_errors, docs_with_errors
from .doc_explainer import DocExplainer
from .explanation import Explanation

# of each head
N_WRONG, N_RIGHT = 2, 1
# right docs have at least this many tokens if there are any, since in shorter ones there is little to choose from
MIN_TOKENS = 5
# heads that are shown beside the one that a doc was chosen for
N_BESIDE = 7


@dataclass
class Choice:
    """A doc that was chosen for a head.

    index (int): The doc.
    label, gold (str | None): What the head predicted, and what is right; None if it does not say so.
    tokens (frozenset[int]): What the prediction is about.
    """

    index: int
    label: str | None = None
    gold: str | None = None
    tokens: frozenset[int] = frozenset()


@dataclass
class ShownLine:
    """An explanation. verdict (str): "right", "wrong", "gold" for what would have been right, or "" if unknown."""

    explanation: Explanation
    verdict: str


@dataclass
class ExplainedExample:
    """A doc with the explanations to show: first the head that it was chosen for, then the others.

    index (int): The doc.
    focus (tuple[int, ...]): The tokens that the first line is about, or its most important one.
    """

    index: int
    focus: tuple[int, ...]
    lines: list[ShownLine]


def choose_docs(decisions: Decisions | None, lengths: Sequence[int]) -> list[Choice]:
    """Choose docs for a head: wrong ones, of different confusions, and a short one in which all is right. If the head
    does not show its decisions, the shortest ones that are long enough.
    """
    by_length = sorted(range(len(lengths)), key=lambda index: (lengths[index] < MIN_TOKENS, lengths[index], index))
    if decisions is None:
        return [Choice(index) for index in by_length[: N_WRONG + N_RIGHT]]
    found = decisions.of_rows(decisions.predicted != NOTHING)
    wrong = [index for group in choose_errors([found], lengths, limit=N_WRONG) for index in group.docs]
    with_errors = docs_with_errors(decisions, len(lengths))
    predicted = np.bincount(found.docs, minlength=len(lengths)) > 0
    right = [index for index in by_length if predicted[index] and not with_errors[index]]
    return [choice_of(found, index) for index in [*wrong, *right[:N_RIGHT]]]


def choice_of(decisions: Decisions, index: int) -> Choice:
    """The first wrong decision of a doc, or its first one."""
    rows = np.flatnonzero(decisions.docs == index)
    is_right = decisions.gold[rows] == decisions.predicted[rows]
    row = int(rows[int(is_right.argmin())])
    gold = int(decisions.gold[row])
    start, end = int(decisions.starts[row]), int(decisions.ends[row])
    edges = [(start, end)] if decisions.arguments is None else decisions.arguments[row].reshape(2, 2).tolist()
    tokens = frozenset(token for first, last in edges for token in range(first, last))
    label = decisions.names[int(decisions.predicted[row])]
    return Choice(index, label, None if gold == NOTHING else decisions.names[gold], tokens)


def explain_example(explainer: DocExplainer, head: str, choice: Choice) -> ExplainedExample | None:
    """Explain the decision that a doc was chosen for, what would have been right, and what the other heads predict
    there. None if the head has no such prediction, for example after a later pipe changed it.
    """
    own = find_own(explainer.targets[head], choice)
    if own is None:
        return None
    first = explainer.explain(head, own)
    verdict = "" if choice.label is None else "right" if choice.label == choice.gold else "wrong"
    lines = [ShownLine(first, verdict)]
    if verdict == "wrong" and choice.gold is not None:
        instead = explainer.find_target(head, own, choice.gold)
        lines += [ShownLine(explainer.explain(head, instead), "gold")] if instead is not None else []
    focus = own.tokens or (first.top(1)[0][0],)
    others = [(name, found) for name, found in explainer.targets.items() if name != head and found]
    for name, found in others[:N_BESIDE]:
        lines.append(ShownLine(explainer.explain(name, nearest(found, focus)), ""))
    return ExplainedExample(choice.index, focus, lines)


def find_own(targets: Sequence[Target], choice: Choice) -> Target | None:
    """The target of a decision: with its label, and about the same tokens or the whole doc."""
    if choice.label is None:
        return next(iter(targets), None)
    same = (target for target in targets if target.name.label == choice.label)
    return next((target for target in same if not target.tokens or frozenset(target.tokens) == choice.tokens), None)


def nearest(targets: Sequence[Target], focus: Sequence[int]) -> Target:
    """The target that is about most of these tokens; the first of several."""
    return max(targets, key=lambda target: len(set(target.tokens) & set(focus)))
