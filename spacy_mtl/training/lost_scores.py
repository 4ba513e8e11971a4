"""What the old heads of a pipeline have lost in a training that began from it, as a table."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from spacy.language import Language
from wasabi.tables import table

from ..pipeline.forgetting import OLD_HEADS, LostT

HEADER = ("old head", "metric", "before", "after", "change")


class LostScores:
    """The scores of old heads at the best evaluation so far, which is the one that spaCy saves as model-best."""

    def __init__(self, nlp: Language) -> None:
        self._nlp = nlp
        self._best = float("-inf")
        self._lost: Mapping[str, LostT] = {}

    def observe(self, score: float) -> None:
        """Take note of an evaluation.

        score (float): The score by which spaCy chooses the best model.
        """
        if score >= self._best:
            self._best, self._lost = score, deepcopy(self._nlp.meta.get("spacy_mtl", {}).get(OLD_HEADS, {}))

    def lines(self) -> str:
        """The table, in per cent; empty if the training did not begin from another pipeline."""
        rows = [row for lost in self._lost.values() for row in lost_rows(lost)]
        return str(table(rows, header=HEADER, divider=True)) if rows else ""


def lost_rows(lost: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str, str]]:
    """The rows of one component. Heads without a main score are left out; "-" stands where dev has no gold."""
    for head, one in lost.items():
        if one["metric"] is None:
            continue
        before, after = one["before"], one["after"]
        change = "-" if before is None or after is None else f"{100 * (after - before):+.1f}"
        yield head, one["metric"], percent(before), percent(after), change


def percent(score: float | None) -> str:
    """A score in per cent."""
    return "-" if score is None else f"{100 * score:.1f}"
