"""What the heads of the pipeline that a training begins from have lost: their main scores on dev, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.training import Example

from ..protocols.head import Head
from .initial_weights import InitialWeights

# Where it stands in `nlp.meta["spacy_mtl"]`, by component.
OLD_HEADS = "old_heads"
LostT = dict[str, dict[str, Any]]


class Forgetting:
    """Scores the old pipeline at the first evaluation of a training, on the same docs, and compares each evaluation
    with that.
    """

    def __init__(self, source: InitialWeights, meta: dict[str, Any], name: str) -> None:
        """source (InitialWeights): The pipeline that the training begins from.
        meta (dict[str, Any]): The new pipeline's meta. From the first evaluation on it has, by head, "metric", "before"
            and "after" under ["spacy_mtl"]["old_heads"][name].
        name (str): The component's name.
        """
        self._source: InitialWeights | None = source
        self._before: Mapping[str, float | None] = {}
        self._meta = meta
        self._name = name

    def observe(
        self, examples: Sequence[Example], heads: Mapping[str, Head], after: Mapping[str, float | None]
    ) -> None:
        """Take note of an evaluation.

        heads (Mapping[str, Head]): The component's heads. Those that are new are left out.
        after (Mapping[str, float | None]): Their main scores; None without gold.
        """
        if self._source is not None:
            self._before = self._source.main_scores(examples)
            self._source = None
        lost: LostT = {
            key: {"metric": heads[key].main_score, "before": score, "after": after.get(key)}
            for key, score in self._before.items()
            if key in heads
        }
        self._meta.setdefault("spacy_mtl", {}).setdefault(OLD_HEADS, {})[self._name] = lost
