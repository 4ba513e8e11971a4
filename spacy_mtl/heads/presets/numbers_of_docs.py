"""The preset of regressors."""

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from ...protocols.head_preset import Offer
from .class_groups import PREFIXED, number_keys
from .preset import Preset

ATTRIBUTE = "numbers"
# the key under which spaCy keeps the extension attribute in `doc.user_data`
STORED: Any = ("._.", ATTRIBUTE, None, None)


class Numbers(Preset):
    """Numbers of docs: keys of `doc.cats` with a value that is no probability, and `doc._.numbers`."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer one head for all numbers."""
        stored = sum(STORED in doc.user_data for doc in docs)
        keys = number_keys(docs)
        if not keys:
            return [Offer("numbers", f"{stored:,} docs have doc._.{ATTRIBUTE}")] if stored else []
        why = f"{', '.join(keys)} in doc.cats have values that are no probabilities"
        found = PREFIXED.fullmatch(keys[0])
        if found and all(key.startswith(found[1]) for key in keys):
            return [Offer(found[1][:-1], why, {"label_prefix": found[1]})]
        return [Offer("numbers", why, {"numbers": keys})]

    def apart(self, name: str) -> dict[str, str]:
        """Write to another attribute."""
        return {"attribute": name}


regressor = Numbers(head="spacy_mtl.Regressor.v1", what="numbers of each doc", unit="docs")
