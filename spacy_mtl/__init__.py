"""Multi-task learning for spaCy: one shared encoder, many heads, trained jointly.

Importing the package is enough to use its registries: `spacy.registry.mtl_heads`, `mtl_weightings`, `mtl_samplers` and
`mtl_sharing`.
"""

from . import registry

__version__ = "0.1.0"
__all__ = ["__version__", "registry"]
