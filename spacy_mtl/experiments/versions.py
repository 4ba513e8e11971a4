"""Versions of what determines a training's result."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("spacy-mtl", "spacy", "thinc", "numpy", "torch", "transformers", "spacy-transformers", "onnxruntime")


def find_versions() -> dict[str, str]:
    """Python's version, and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
