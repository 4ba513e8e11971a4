"""The packages of the extra `graph`, imported when they are needed."""

from importlib import import_module
from typing import Any


def import_for(suffix: str, package: str) -> Any:
    """Import a package. Raises an ImportError that names the extra if that fails.

    suffix (str): Of the files that need it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{suffix} files need {package}, which can't be imported ({error}): pip install 'spacy-mtl[graph]'"
        ) from error
