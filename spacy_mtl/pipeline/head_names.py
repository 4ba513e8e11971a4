"""Changes of heads' names in settings, states and scores."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..protocols.head import Head

# Scores over all heads of a pipeline.
JOINT_SCORES = ("multitask_score", "multitask_exact")


@dataclass(frozen=True)
class NameChange:
    """Heads that go, and heads that get another name.

    removed (Collection[str]): Names of the heads that go.
    renamed (Mapping[str, str]): Old name -> new one.
    """

    removed: Collection[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """The name of a head that stays."""
        return self.renamed.get(name, name)

    def within(self, value: Any, component: str = "") -> Any:
        """Apply the change to keys and list items at any depth, also where they are "component/head"."""
        if isinstance(value, Mapping):
            return {
                self._word(key, component): self.within(part, component)
                for key, part in value.items()
                if not self._goes(key, component)
            }
        if isinstance(value, list | tuple):
            return [self._item(part, component) for part in value if not self._goes(part, component)]
        return value

    def _item(self, value: Any, component: str) -> Any:
        return self._word(value, component) if isinstance(value, str) else self.within(value, component)

    def _goes(self, word: Any, component: str) -> bool:
        return isinstance(word, str) and self._head_in(word, component) in self.removed

    def _word(self, word: Any, component: str) -> Any:
        if not isinstance(word, str):
            return word
        head = self._head_in(word, component)
        return word[: len(word) - len(head)] + self.of(head)

    def _head_in(self, word: str, component: str) -> str:
        return word.removeprefix(f"{component}/") if component else word


def owner_of(score: str, heads: Mapping[str, Head]) -> str | None:
    """The head that reports a score: "intent_acc", "news/intent_acc", or one of spaCy's names that one head offers."""
    name = score.rpartition("/")[2]
    owners = [key for key in heads if name.startswith(f"{key}_")]
    offers = [key for key, head in heads.items() if name in head.standard_scores]
    if owners:
        return max(owners, key=len)
    return offers[0] if len(offers) == 1 else None


def change_scores(scores: Mapping[str, Any], heads: Mapping[str, Head], change: NameChange) -> dict[str, Any]:
    """Leave out the scores of heads that go, and rename those of heads that are renamed.

    heads (Mapping[str, Head]): All heads by their old names.
    """
    found: dict[str, Any] = {}
    for key, value in scores.items():
        owner = owner_of(key, heads)
        if owner in change.removed:
            continue
        corpus, slash, name = key.rpartition("/")
        if owner is not None and name.startswith(f"{owner}_"):
            name = change.of(owner) + name[len(owner) :]
        found[f"{corpus}{slash}{name}"] = value
    return found
