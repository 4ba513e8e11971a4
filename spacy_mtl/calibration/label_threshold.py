"""The confidence from which predictions may serve as labels, as `mtl calibrate` saves it with the pipeline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.util import get_package_path, is_package

from ..head_keys import unambiguous
from ..protocols.head_calibration import ATTR


@dataclass(frozen=True)
class LabelThreshold:
    """risk (float): Share of wrong docs that is allowed. confidence (float | None): From which it is kept, with a
    probability of 95 %; None if there is no such confidence.
    """

    risk: float
    confidence: float | None


def saved_thresholds(model: str) -> dict[str, LabelThreshold]:
    """Read the thresholds of a pipeline by head, without loading it. Where several components have one for a head of
    that name, the key is "component/head".

    model (str): A folder or an installed package.
    RAISES ValueError: There is no pipeline.
    """
    folder = get_package_path(model) if is_package(model) else Path(model)
    try:
        meta: Any = srsly.read_json(folder / "meta.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{model}: it is neither the folder of a pipeline nor an installed package: {error}") from None
    found: dict[str, dict[str, Any]] = meta.get("spacy_mtl", {}).get(ATTR, {})
    return unambiguous(
        {
            component: {head: LabelThreshold(**shown["labels"]) for head, shown in heads.items() if "labels" in shown}
            for component, heads in found.items()
        }
    )


def confidences_for(model: str, heads: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Get the least confidence of labels for heads that learn from a calibrated pipeline.

    model (str): The pipeline. heads: Each head that learns, with the head of the pipeline that it learns from.
    RAISES ValueError: A head is not calibrated, or no confidence keeps its risk.
    """
    return chosen_confidences(model, saved_thresholds(model), heads)


def chosen_confidences(
    model: str, saved: Mapping[str, LabelThreshold], heads: Iterable[tuple[str, str]]
) -> dict[str, float]:
    """The same as `confidences_for` of thresholds that have been read. model (str): The pipeline's name in messages."""
    found: dict[str, float] = {}
    for head, source in heads:
        own = saved.get(source)
        fix = f"give --threshold {head}=N, or calibrate the pipeline with"
        if own is None:
            raise ValueError(
                f"head {head!r}: {model} has no threshold for its head {source!r}; it has some for {sorted(saved)}; "
                f"{fix} mtl calibrate"
            )
        if own.confidence is None:
            raise ValueError(
                f"head {head!r}: no confidence of head {source!r} of {model} keeps the share of wrong docs below "
                f"{own.risk:g} on the docs that it was calibrated on; {fix} a higher --risk or more docs"
            )
        found[head] = own.confidence
    return found
