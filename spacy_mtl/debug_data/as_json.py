"""An audit as plain data."""

from typing import Any

from .counts import Part
from .findings import Audit, length_row


def as_json(result: Audit) -> dict[str, Any]:
    """Everything an audit found, ready for JSON."""
    return {
        "train": result.train,
        "heads": {
            head: {"train": dict(result.labels(head, train=True)), "others": dict(result.labels(head, train=False))}
            for head in result.heads
        },
        "corpora": [_part(result, part) for part in result.parts],
        "errors": result.errors,
        "warnings": result.warnings,
    }


def _part(result: Audit, part: Part) -> dict[str, Any]:
    return {
        "split": part.split,
        "corpus": part.corpus,
        "docs": len(part.lengths),
        "tokens": length_row(part),
        "unused_docs": part.unused,
        "shared_texts": result.shared_texts(part),
        "misaligned_entities": part.misaligned,
        "gold_costs": {head: [cost for cost in found.costs if cost] for head, found in part.gold_costs.items()},
        "heads": {
            head: {"docs": counts.docs, "units": counts.units, "labels": dict(counts.labels)}
            for head, counts in part.heads.items()
        },
    }
