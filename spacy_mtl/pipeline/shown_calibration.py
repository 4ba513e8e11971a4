"""The calibration of a component's heads in the meta of its pipeline, for readers that don't load the pipeline."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocols.head import Head
from ..protocols.head_calibration import ATTR, calibration_of


def show_calibrations(meta: dict[str, Any], component: str, heads: Mapping[str, Head]) -> None:
    """Write what the heads' calibrations say now to `meta["spacy_mtl"]["calibration"][component]`, without curves and
    bins. A component without calibrated heads has no entry.
    """
    shown = {key: in_meta(kept) for key, head in heads.items() if (kept := calibration_of(head.model))}
    own = meta.setdefault("spacy_mtl", {}).setdefault(ATTR, {})
    if shown:
        own[component] = shown
    else:
        own.pop(component, None)


def in_meta(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Temperatures with their measures by unit, the rule of the sets, and the threshold for labels, as JSON."""
    shown: dict[str, Any] = {
        unit: {"temperature": kept["temperatures"][unit]} | {when: _without_bins(side) for when, side in sides.items()}
        for unit, sides in kept.get("measures", {}).items()
    }
    if kept.get("sets"):
        limit = kept["sets"]["limit"]
        shown["sets"] = kept["sets"] | {"limit": limit if np.isfinite(limit) else None}
    if kept.get("labels"):
        shown["labels"] = kept["labels"]
    return shown


def _without_bins(measures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in measures.items() if name != "bins"}
