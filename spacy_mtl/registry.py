"""The registries of heads and their presets, weightings, samplers, sharing layers, engines and sections of the report.

Other packages add functions through the entry-point groups `spacy_mtl_heads`, `spacy_mtl_head_presets`,
`spacy_mtl_weightings`, `spacy_mtl_samplers`, `spacy_mtl_sharing`, `spacy_mtl_engines` and `spacy_mtl_report_sections`.
"""

import catalogue
from spacy.util import registry

# They are made with catalogue, since thinc's registry.create would name the entry-point group "thinc_…".
REGISTRIES = (
    "mtl_heads",
    "mtl_head_presets",
    "mtl_weightings",
    "mtl_samplers",
    "mtl_sharing",
    "mtl_engines",
    "mtl_report_sections",
)

for _name in REGISTRIES:
    if not hasattr(registry, _name):
        setattr(registry, _name, catalogue.create("spacy", _name, entry_points=True))
