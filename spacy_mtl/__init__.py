"""Multi-task learning for spaCy: one shared encoder, many heads, trained jointly.

Importing the package is enough to use its registries: `spacy.registry.mtl_heads`, `mtl_weightings`, `mtl_samplers` and
`mtl_sharing`; `relations(doc)` and `doc._.relations` give the relations of a doc, `render_relations(doc)` draws them.
`prediction_sets(doc)` and `doc._.mtl_sets` give what may be true of a doc, where a calibration says so.
`explain(nlp, doc)` says which tokens led to a prediction, `explain_targets(nlp, doc)` what there is to explain; they
raise `CannotExplain` for what was asked wrongly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import registry
from .displacy_relations import displacy_data, render_relations
from .prediction_set import PredictionSet, prediction_sets, register_sets
from .protocols.cannot_explain import CannotExplain
from .relation import Relation, register_extension, relations

if TYPE_CHECKING:
    from .explanations.explain import explain, explain_targets

# functions that are imported when they are first used, since they need the component
LAZY = {"explain": ".explanations.explain", "explain_targets": ".explanations.explain"}

register_extension()
register_sets()

__version__ = "0.1.0"
__all__ = [
    "CannotExplain",
    "PredictionSet",
    "Relation",
    "__version__",
    "displacy_data",
    "explain",
    "explain_targets",
    "prediction_sets",
    "registry",
    "relations",
    "render_relations",
]


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
