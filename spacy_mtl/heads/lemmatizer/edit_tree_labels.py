"""Edit trees as labels: each is named by a pair of form and lemma that it turns into each other."""

from collections import Counter
from collections.abc import Iterable, Sequence

from spacy.pipeline._edit_tree_internals.edit_trees import EditTrees
from spacy.strings import StringStore

# Between form and lemma in a label. No token has an arrow between two blanks.
ARROW = " → "
NO_LABEL = -1
# a tree, and whether it is applied to the form in lower case
TreeT = tuple[int, bool]


class EditTreeLabels:
    """The trees that a list of labels names.

    With `ignore_case` a lemma in lower case is made from the form in lower case, so that "Was" and "was" need one tree.
    """

    def __init__(self, labels: Sequence[str], *, ignore_case: bool) -> None:
        self.ignore_case = ignore_case
        self._trees = EditTrees(StringStore())
        self._of_label = [self._tree(*pair_of(label)) for label in labels]
        self._index = {tree: index for index, tree in enumerate(self._of_label)}
        self._known: dict[tuple[str, str], int] = {}

    def index(self, form: str, lemma: str) -> int:
        """Get the index of the label that turns the form into the lemma, or NO_LABEL."""
        pair = form, lemma
        if pair not in self._known:
            self._known[pair] = self._index.get(self._tree(form, lemma), NO_LABEL)
        return self._known[pair]

    def apply(self, index: int, form: str) -> str | None:
        """Make the lemma of a form; None if the tree does not fit it."""
        tree, in_lower_case = self._of_label[index]
        lemma: str | None = self._trees.apply(tree, form.lower() if in_lower_case else form)
        return lemma or None

    def describe(self, form: str, lemma: str) -> str:
        """Describe the tree of a pair, the same for all pairs with this tree."""
        tree, in_lower_case = self._tree(form, lemma)
        return f"{self._trees.tree_to_str(tree)} {in_lower_case}"

    def _tree(self, form: str, lemma: str) -> TreeT:
        if self.ignore_case and lemma == lemma.lower():
            return self._trees.add(form.lower(), lemma), True
        return self._trees.add(form, lemma), False


def pair_of(label: str) -> tuple[str, str]:
    """Split a label into form and lemma. Raise a ValueError if it is not such a pair."""
    form, arrow, lemma = label.partition(ARROW)
    if not (form and arrow and lemma):
        raise ValueError(f"{label!r} is no pair of form and lemma, such as 'was{ARROW}be'")
    return form, lemma


def find_labels(pairs: Iterable[tuple[str, str]], *, ignore_case: bool, min_freq: int) -> list[str]:
    """Name the trees that are frequent enough, each by its most frequent pair, in alphabetical order.

    pairs (Iterable[tuple[str, str]]): Forms and lemmas of all tokens.
    min_freq (int): Number of tokens that a tree must have.
    """
    trees = EditTreeLabels([], ignore_case=ignore_case)
    by_tree: dict[str, Counter[str]] = {}
    for (form, lemma), number in Counter(pairs).items():
        shown = form.lower() if ignore_case and lemma == lemma.lower() else form
        by_tree.setdefault(trees.describe(form, lemma), Counter())[f"{shown}{ARROW}{lemma}"] += number
    return sorted(
        min(names, key=lambda name: (-names[name], name)) for names in by_tree.values() if names.total() >= min_freq
    )
