"""The preset of lemmatizers."""

from collections.abc import Sequence

from spacy.tokens import Doc

from ...protocols.head_preset import Offer
from .preset import Preset


class Lemmas(Preset):
    """Lemmas of tokens."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head if any doc has lemmas."""
        number = sum(doc.has_annotation("LEMMA") for doc in docs)
        return [Offer("lemma", f"{number:,} docs have token.lemma")] if number else []


lemmatizer = Lemmas(head="spacy_mtl.Lemmatizer.v1", what="lemmas", unit="tokens")
