"""The result of a calibration as rows of text."""

from .calibrate import Calibrated
from .selective import least_confidence

HEADER = (
    "head",
    "probabilities of",
    "right %",
    "temperature",
    "ECE % before",
    "after",
    "by chance",
    "Brier before",
    "after",
    "NLL",
)
SETS_HEADER = ("head", "coverage", "docs", "mean size", "answered %", "empty %", "not all listed %")
RISK_HEADER = ("head", "docs wrong %", "of the surest half", "confidence for 10 %", "for 5 %", "for 1 %")
RISKS = (0.1, 0.05, 0.01)


def measure_rows(result: Calibrated) -> list[tuple[str, ...]]:
    """One row for each calibrated head."""
    return [
        (
            key,
            f"{part.after.n} {unit}",
            f"{100 * part.after.accuracy:.1f}",
            f"{part.temperature:.2f}",
            f"{100 * part.before.ece:.2f}",
            f"{100 * part.after.ece:.2f}",
            f"{100 * part.after.ece_by_chance:.2f}",
            f"{part.before.brier:.4f}",
            f"{part.after.brier:.4f}",
            f"{part.before.nll:.3f} \N{RIGHTWARDS ARROW} {part.after.nll:.3f}",
        )
        for key, found in result.heads.items()
        for unit, part in found.parts.items()
    ]


def set_rows(result: Calibrated) -> list[tuple[str, ...]]:
    """One row for each head with prediction sets."""
    return [
        (
            key,
            f"{found.rule.coverage:g}",
            str(found.rule.n_docs),
            f"{found.sizes.mean_size:.2f}",
            *(f"{100 * share:.1f}" for share in (found.sizes.answered, found.sizes.empty, found.sizes.incomplete)),
        )
        for key, found in result.heads.items()
        if found.rule is not None and found.sizes is not None
    ]


def risk_rows(result: Calibrated) -> list[tuple[str, ...]]:
    """One row for each head that says how sure it is of a doc: the risk, and the confidence from which it is low."""
    rows = []
    for key, found in result.heads.items():
        if not found.risk:
            continue
        half = next(point for point in found.risk if point.share >= 0.5)
        thresholds = (least_confidence(found.risk, risk) for risk in RISKS)
        rows.append(
            (
                key,
                f"{100 * found.risk[-1].risk:.1f}",
                f"{100 * half.risk:.1f}",
                *("none" if threshold is None else f"{threshold:.4f}" for threshold in thresholds),
            )
        )
    return rows
