"""Multi-task learning for spaCy: one shared encoder, many heads, trained jointly.

Importing the package is enough to use its registries: `spacy.registry.mtl_heads`, `mtl_weightings`, `mtl_samplers` and
`mtl_sharing`; `relations(doc)` and `doc._.relations` give the relations of a doc, `render_relations(doc)` draws them.
"""

from . import registry
from .displacy_relations import displacy_data, render_relations
from .relation import Relation, register_extension, relations

register_extension()

__version__ = "0.1.0"
__all__ = ["Relation", "__version__", "displacy_data", "registry", "relations", "render_relations"]
