"""A short name of the head Length, which offers itself for docs without any annotation."""

from spacy_mtl.protocols.head_preset import Links, Offer


class LengthPreset:
    head = "acme.Length.v1"
    settings = {"scale": 50.0}
    what = "the number of characters"
    note = ""
    unit = "docs"
    augmenter = None

    def offers(self, docs):
        return [Offer("size", f"all {len(docs)} docs have a length")]

    def links(self, docs, others, *, pretrained):
        return Links()

    def apart(self, name):
        return None


length = LengthPreset()
