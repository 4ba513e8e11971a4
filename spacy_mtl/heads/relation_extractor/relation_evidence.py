"""Labels of candidate pairs beside the gold ones, to calibrate a relation extractor."""

import numpy as np

from ...layers.label_evidence import LabelEvidence, OddsEvidence
from ...protocols.arrays import BoolsT, FloatsT, IntsT


def relation_evidence(
    gold: FloatsT,
    logits: FloatsT,
    allowed: BoolsT,
    holds: BoolsT,
    owners: IntsT,
    *,
    exclusive: bool,
    threshold: float,
) -> LabelEvidence | OddsEvidence:
    """Build the evidence of directed pairs whose gold is known.

    gold (FloatsT): (n_rows, n_labels): 1, 0, or NaN where it is missing.
    logits (FloatsT): (n_rows, n_outputs), the first one for no label if labels are exclusive.
    allowed (BoolsT): The labels that the types do not rule out, (n_rows, n_labels).
    holds (BoolsT): The labels that are found, (n_rows, n_labels).
    owners (IntsT): The example of each row, (n_rows,).
    """
    if not exclusive:
        rows, columns = np.nonzero(~np.isnan(gold) & allowed)
        odds, right = logits[rows, columns], gold[rows, columns] > 0
        return OddsEvidence("relations", owners[rows], odds, right, holds[rows, columns], threshold)
    known = np.flatnonzero(~np.isnan(gold).any(axis=1))
    none = np.ones((len(known), 1), dtype=bool)
    masked = np.where(np.hstack([none, allowed[known]]), logits[known], -np.inf)
    labels = np.where((gold[known] > 0).any(axis=1), 1 + gold[known].argmax(axis=1), 0)
    # the loss of a gold label that the types rule out would be infinite
    labels = np.where(np.isfinite(masked[np.arange(len(known)), labels]), labels, -1)
    shown = np.asarray(holds[known].any(axis=1))
    decided = np.where(shown, 1 + holds[known].argmax(axis=1), 0)
    return LabelEvidence("relations", owners[known], masked, labels, decided, shown)
