"""The presets of taggers: fine-grained tags, parts of speech, morphology, sentence starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from ...protocols.head_preset import Offer
from .preset import Preset


@dataclass(frozen=True)
class TokenValues(Preset):
    """An attribute of tokens.

    name (str): Name of a head that is offered.
    """

    name: str = ""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head if any doc has the attribute."""
        number = sum(doc.has_annotation(self.name.upper()) for doc in docs)
        return [Offer(self.name, f"{number:,} docs have token.{self.name}")] if number else []


class SentenceStarts(TokenValues):
    """Sentence starts. A parser finds them too, so that trees rule this head out."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head if docs have several sentences, and no trees."""
        if any(doc.has_annotation("DEP") for doc in docs):
            return []
        number = sum(_n_starts(doc) > 1 for doc in docs if doc.has_annotation("SENT_START"))
        return [Offer(self.name, f"{number:,} docs have several sentences, and no doc has a tree")] if number else []


def _n_starts(doc: Doc) -> int:
    return sum(bool(token.is_sent_start) for token in doc)


def make(attr: str, what: str) -> TokenValues:
    """The preset of an attribute that a `Doc` names in the same way."""
    return TokenValues("spacy_mtl.Tagger.v1", what, "tokens", {"attr": attr}, name=attr)


tagger = make("tag", "fine-grained tags")
pos = make("pos", "parts of speech")
morph = make("morph", "morphology")
senter = SentenceStarts("spacy_mtl.Tagger.v1", "sentence starts", "tokens", {"attr": "sent_start"}, name="sents")
