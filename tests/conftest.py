import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real corpora: the folder in SPACY_MTL_DATA, or ../shared/data next to the repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("SPACY_MTL_DATA") or default)
    if not path.is_dir():
        pytest.skip(f"no data: SPACY_MTL_DATA is {os.environ.get('SPACY_MTL_DATA')!r} and {default} does not exist")
    return path
