"""Heads that have labels, count them in gold, and rename them."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc
from spacy.training import Example


@runtime_checkable
class HasLabels(Protocol):
    """A head that has labels. Heads without labels, such as a regressor, are initialised from the sample alone."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""

    def add_label(self, label: str) -> int:
        """Add a label, growing the network if it has its shape already. RETURNS (int): 1 if it was new, else 0."""

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Replace the labels with those of gold examples. Examples without gold are skipped."""

    def gold_labels(self, doc: Doc) -> Iterable[Hashable]:
        """Get the labels that `collect_labels` would find in a gold doc, in any form that tells them apart."""


@runtime_checkable
class KeepsPlaces(Protocol):
    """A `HasLabels` that can be initialised again with other gold, when its network has outputs for labels already."""

    def put_first(self, labels: Sequence[str]) -> None:
        """Put labels that the head had back to their places, before those that it has collected since."""


@runtime_checkable
class CountsGold(Protocol):
    """A head that can count its gold. For heads without this Protocol, tools count the docs that have gold."""

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Add the occurrences of each label in a gold doc to `counts`. RETURNS (int): The number of annotated units: 1
        for a doc, or the number of tokens.
        """


@runtime_checkable
class CountsUnits(Protocol):
    """A head that can count the annotated units of a batch without their labels, in a fraction of the time."""

    def count_units(self, examples: Sequence[Example]) -> int:
        """Count what `count_gold` counts in the gold docs of all examples for which `has_gold` is true."""


@runtime_checkable
class TeachesAbsence(Protocol):
    """A head that also learns from what its gold leaves out. Heads whose labels exclude each other are none: where one
    label is gold, the others are known not to apply.
    """

    def absent_labels(self, doc: Doc) -> Collection[str] | None:
        """The labels that the doc is a negative example of. None stands for every label that its gold does not have,
        including labels that only other docs show.
        """


@runtime_checkable
class RenamesLabels(Protocol):
    """A head whose gold labels a corpus's `label_map` can rename."""

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Write the gold of `source` to `target`, with other labels. A dropped label becomes missing gold in `target`,
        not a negative example. If another head that reads the same annotation calls it again, the result is the same.

        source (Doc): The gold doc.
        target (Doc): A copy of it.
        mapping (Mapping[str, str | None]): Old label -> new one, or None to drop it.
        """
