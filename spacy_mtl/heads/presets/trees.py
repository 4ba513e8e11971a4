"""The preset of dependency parsers."""

from collections.abc import Mapping, Sequence

from spacy.tokens import Doc

from ...protocols.found_annotation import FindsSentences
from ...protocols.head import Head
from ...protocols.head_preset import Links, Offer
from .preset import Preset


class Trees(Preset):
    """Dependency trees."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head if any doc has labels of dependencies."""
        number = sum(doc.has_annotation("DEP") for doc in docs)
        return [Offer("parser", f"{number:,} docs have token.head and token.dep")] if number else []

    def links(self, docs: Sequence[Doc], others: Mapping[str, Head], *, pretrained: bool) -> Links:
        """Parse the sentences that another head finds, if there is one: both would write them."""
        for name, head in others.items():
            if isinstance(head, FindsSentences) and head.finds_sentences:
                return Links({"sents": name}, f"it parses the sentences that {name} finds")
        return Links()


parser = Trees(head="spacy_mtl.DependencyParser.v1", what="dependency trees", unit="tokens")
