"""The callback that scores an evaluation by the head that is furthest from what is asked of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language

from .head_patience import BeforeUpdateT
from .trained_heads import components_with_heads, find_heads, select_by

KEY = "multitask_worst"


def make_select_worst_v1(
    targets: dict[str, float] | None = None,
    report: str | None = None,
    split: Literal["dev", "test"] = "dev",
) -> BeforeUpdateT:
    """Build the callback that lets `[training.score_weights]` select the best model by its worst head, for
    `[training.before_update]`. With s[k] head k's main score and t[k] what is asked of it, it adds the score

        multitask_worst = min over k of s[k] / t[k]

    so that 1 - multitask_worst is the largest relative shortfall. It is above 1 if all heads are better than asked.
    Give `multitask_worst` a weight, and `multitask_score` the weight 0.

    targets (dict[str, float] | None): Scores that are asked for by head, above 0 and up to 1; "component/head" if
        several components have a head of that name. Heads that are not named do not count.
    report (str | None): The `report.json` of `mtl compare`, in place of `targets`: of each head is asked its mean score
        when it is trained alone.
    split (str): Whether the scores of "dev" or "test" in the report are asked for.
    """
    if (targets is None) == (report is None):
        raise ValueError("SelectWorst: set one of targets and report, and leave out the other")
    wrong = {name: target for name, target in (targets or {}).items() if not 0 < target <= 1}
    if wrong:
        raise ValueError(f"SelectWorst: targets must be scores above 0 and up to 1, but there is {wrong}")
    alone = None if report is None else read_single_task_scores(Path(report), split)

    def before_update(nlp: Language, info: dict[str, Any]) -> None:
        if info["step"] == 0:
            asked = targets if alone is None else scores_of(nlp, alone, f"SelectWorst: {report} ({split})")
            places = find_heads(nlp, asked or {}, "SelectWorst: targets")
            select_by(nlp, KEY, SelectWorst({"/".join(places[name]): value for name, value in (asked or {}).items()}))

    return before_update


class SelectWorst:
    """targets (Mapping[str, float]): What is asked for, by "component/head"."""

    def __init__(self, targets: Mapping[str, float]) -> None:
        self.targets = targets

    def __call__(self, scores: Mapping[str, float], memory: dict[str, Any]) -> float | None:
        """The formula above, over the heads that have a score."""
        return min((scores[key] / target for key, target in self.targets.items() if key in scores), default=None)


def scores_of(nlp: Language, alone: Mapping[str, float], source: str) -> dict[str, float]:
    """What is asked of all heads with a main score. Raise a ValueError if the report does not have one of them."""
    heads = {
        key: f"{name}/{key}"
        for name, pipe in components_with_heads(nlp).items()
        for key, head in pipe.heads.items()
        if head.main_score is not None
    }
    missing = sorted(key for key in heads if not alone.get(key))
    if missing:
        raise ValueError(
            f"{source} has no single-task score above 0 of the heads {missing}; run mtl compare on this config, or set "
            "targets"
        )
    return {name: alone[key] for key, name in heads.items()}


def read_single_task_scores(path: Path, split: str) -> dict[str, float]:
    """Read the mean over seeds of each head's main score when it is trained alone.

    RAISES ValueError: The file can't be read, or is no report of `mtl compare`.
    """
    try:
        differences = json.loads(path.read_text(encoding="utf8"))["differences"]
        found: dict[str, list[float]] = {
            one["head"]: [score for score in one["baseline_scores"] if score is not None]
            for one in differences
            if one["split"] == split and one["system"] == "joint"
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"SelectWorst: report {path} is no report.json of mtl compare ({type(error).__name__}: {error}); set it to "
            "the file in the output folder of mtl compare"
        ) from error
    return {head: sum(scores) / len(scores) for head, scores in found.items() if scores}
