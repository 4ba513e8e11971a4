"""An audit as plain data."""

from dataclasses import asdict
from typing import Any

from .audit import Audit
from .counts import HeadCounts, Part, Stored, length_row


def as_json(result: Audit) -> dict[str, Any]:
    """Everything an audit found, ready for JSON."""
    return {
        "train": result.train,
        "heads": {
            head: {"train": dict(result.labels(head, train=True)), "others": dict(result.labels(head, train=False))}
            for head in result.heads
        },
        "corpora": [_part(result, part) for part in result.parts],
        "findings": [asdict(finding) for finding in result.findings],
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
        "heads": _heads(part.heads),
        "stored": None if part.stored is None else _stored(part.stored),
    }


def _stored(stored: Stored) -> dict[str, Any]:
    return {
        "docs": stored.docs,
        "tokens": stored.tokens,
        "beyond_limit": stored.beyond_limit,
        "heads": _heads(stored.heads),
    }


def _heads(heads: dict[str, HeadCounts]) -> dict[str, Any]:
    return {
        head: {"docs": counts.docs, "units": counts.units, "labels": dict(counts.labels)}
        for head, counts in heads.items()
    }
