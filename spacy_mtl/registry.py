"""The registries of heads, weightings, samplers and sharing layers.

Other packages add functions through the entry-point groups `spacy_mtl_heads`, `spacy_mtl_weightings`,
`spacy_mtl_samplers` and `spacy_mtl_sharing`.
"""

import catalogue
from spacy.util import registry

# They are made with catalogue, since thinc's registry.create would name the entry-point group "thinc_…".
REGISTRIES = ("mtl_heads", "mtl_weightings", "mtl_samplers", "mtl_sharing")

for _name in REGISTRIES:
    if not hasattr(registry, _name):
        setattr(registry, _name, catalogue.create("spacy", _name, entry_points=True))
