"""Whether a teacher's labels fit a head of the student."""

from collections.abc import Sequence

from ..layers.target_losses import misfit
from ..protocols.head import Head
from ..protocols.head_labels import HasLabels
from ..protocols.soft_targets import LearnsFromTargets
from ..readers.target_shard import TargetForm


def fit_labels(head: Head, form: TargetForm | None, labels: Sequence[str], *, fixed: bool) -> list[str]:
    """Add the teacher's labels to those that the head has from the gold.

    form (TargetForm | None): Form of the teacher's soft targets.
    labels (Sequence[str]): Labels that it may predict, if it gives none.
    fixed (bool): The config sets the head's labels, so that none may be added.
    RETURNS (list[str]): Labels of the gold that the teacher does not have.
    RAISES ValueError: They do not fit. The message lists both.
    """
    if not isinstance(head, HasLabels):
        return []
    before = head.labels
    theirs = list(labels)
    if form is not None:
        if not isinstance(head, LearnsFromTargets) or head.target_kind != form.kind:
            own = head.target_kind if isinstance(head, LearnsFromTargets) else "none"
            raise ValueError(
                f"head {head.name!r}: its teacher's targets are of the kind {form.kind!r}, its own of {own!r}. "
                f"The teacher has the labels {list(form.labels)}, the head {list(before)}; give both the same kind of "
                "classes, or take the teacher's labels alone (--labels hard)"
            )
        theirs = head.labels_of_columns(form.labels)
    if theirs and before and ((fixed and not set(theirs) <= set(before)) or set(theirs).isdisjoint(before)):
        raise ValueError(misfit(head.name, theirs, before))
    for label in theirs:
        head.add_label(label)
    if form is not None and isinstance(head, LearnsFromTargets):
        lacking = [column for column in form.labels if column not in set(head.target_columns)]
        if lacking:
            raise ValueError(misfit(head.name, form.labels, head.target_columns))
        check_outputs(head, form)
    return [label for label in before if theirs and label not in set(theirs)]


def check_outputs(head: LearnsFromTargets, form: TargetForm) -> None:
    """Raise a ValueError if the teacher has only some of the outputs that belong to its labels: BIO has no tag "L-city"
    of BILUO.
    """
    theirs = set(head.labels_of_columns(form.labels))
    needed = [column for column in head.target_columns if set(head.labels_of_columns([column])) <= theirs]
    if set(needed) != set(form.labels):
        raise ValueError(
            f"head {head.name!r}: its teacher's outputs are {list(form.labels)}, but for these labels the head has "  # type: ignore[attr-defined]
            f"{needed}; give both the same tag scheme, or take the teacher's labels alone (--labels hard)"
        )
