"""The extras of this package that a pipeline needs, in its meta: `spacy package` writes them into the wheel."""

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spacy.language import Language
from spacy.util import get_minor_version_range, split_requirement
from thinc.api import Model

PACKAGE = "spacy-mtl"
# The attribute of a network by which it names the extra that it needs.
EXTRA = "spacy_mtl_extra"


def add_requirement(nlp: Language, models: Iterable[Model[Any, Any]]) -> None:
    """Add this package with the extras that the networks of a pipeline need to `nlp.meta["requirements"]`. Without any,
    nothing is added, since spaCy adds the plain package itself.
    """
    extras = sorted({extra for model in models for extra in find_extras(model)})
    if not extras:
        return
    others = [item for item in nlp.meta.get("requirements", []) if split_requirement(item)[0] != PACKAGE]
    nlp.meta["requirements"] = [*others, f"{PACKAGE}[{','.join(extras)}]{_version_range()}"]


def find_extras(model: Model[Any, Any]) -> Iterator[str]:
    """The extras that a network and its layers name."""
    for node in model.walk():
        if EXTRA in node.attrs:
            yield node.attrs[EXTRA]


def _version_range() -> str:
    """The range that spaCy gives other packages, such as ">=0.1.0,<0.2.0"."""
    try:
        return get_minor_version_range(version(PACKAGE))
    except PackageNotFoundError:  # a folder on the path that was never installed
        return ""
