"""The words that speak for each label of a head, and against it, over many docs."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..protocols.head_explanation import Target
from .explanation import Explanation

# Words are left out whose mean score is no more than this share of the largest one.
VISIBLE = 0.05


@dataclass(frozen=True)
class WordScore:
    """A word in lower case, its mean score over all explained predictions of a label (0 where it does not occur), and
    in how many of them it occurs.
    """

    word: str
    score: float
    n_predictions: int


@dataclass
class LabelWords:
    """What the predictions of a label have in common.

    label (str): The label.
    n_predictions (int): Number of predictions that were explained.
    words_for, words_against (list[WordScore]): The words with the highest and the lowest mean score.
    own_share (float | None): Share of the scores, without their signs, on the tokens that the predictions are about;
        None if they are about whole docs.
    """

    label: str
    n_predictions: int
    words_for: list[WordScore]
    words_against: list[WordScore]
    own_share: float | None


@dataclass
class LabelSums:
    """Sums over the predictions of a label."""

    n_predictions: int = 0
    scores: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    numbers: Counter[str] = field(default_factory=Counter)
    own: float = 0.0
    all: float = 0.0
    has_own: bool = False

    def add(self, explanation: Explanation) -> None:
        """Add a prediction."""
        self.n_predictions += 1
        words = [token.lower() for token in explanation.tokens]
        for word, score in zip(words, explanation.scores, strict=True):
            self.scores[word] += score
        self.numbers.update(set(words))
        self.has_own |= bool(explanation.target_tokens)
        self.own += sum(abs(explanation.scores[token]) for token in explanation.target_tokens)
        self.all += sum(map(abs, explanation.scores))

    def summary(self, label: str, n_words: int) -> LabelWords:
        """The words with the highest and the lowest mean score, without white space."""
        words = [
            WordScore(word, score / self.n_predictions, self.numbers[word])
            for word, score in self.scores.items()
            if word.strip()
        ]
        least = VISIBLE * max((abs(word.score) for word in words), default=0.0)
        ordered = sorted(words, key=lambda word: (-word.score, word.word))
        return LabelWords(
            label,
            self.n_predictions,
            [word for word in ordered[:n_words] if word.score > least],
            [word for word in ordered[::-1][:n_words] if word.score < -least],
            self.own / self.all if self.has_own and self.all else None,
        )


class LabelTables:
    """Collects explanations by head and label."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, LabelSums]] = defaultdict(lambda: defaultdict(LabelSums))

    def rarest(self, head: str, targets: Iterable[Target]) -> Target:
        """Choose the target whose label was seen least often so far; the first of several."""
        sums = self._sums[head]
        return min(
            targets, key=lambda target: sums[target.name.label].n_predictions if target.name.label in sums else 0
        )

    def add(self, label: str, explanation: Explanation) -> None:
        """Add a prediction of a label."""
        self._sums[explanation.head][label].add(explanation)

    def of_head(self, head: str, *, n_words: int) -> list[LabelWords]:
        """The labels of a head, those with most predictions first."""
        seen = {label: sums for label, sums in self._sums[head].items() if sums.n_predictions}
        found = [sums.summary(label, n_words) for label, sums in seen.items()]
        return sorted(found, key=lambda label: (-label.n_predictions, label.label))
