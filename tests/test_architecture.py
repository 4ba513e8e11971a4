"""Imports run one way only, and nothing that plugs in is known to what it plugs into."""

import ast
from pathlib import Path

import pytest

import spacy_mtl

PACKAGE = Path(spacy_mtl.__file__).parent
# What each folder or module may import from the rest of the package.
ALLOWED = {
    "registry": set(),
    "types": set(),
    "gold": set(),
    "origin": set(),
    "layers": {"types", "origin", "layers"},
    "heads": {"types", "gold", "origin", "layers"},
    "weightings": {"types"},
    "samplers": {"types"},
    "sharing": {"types", "origin", "layers"},
    "optimizers": {"types", "layers"},
    "readers": {"types", "gold", "registry", "origin", "samplers"},
    "augmenters": {"types", "gold", "origin"},
    "batchers": {"origin"},
    "converters": {"converters"},
    "models": {"types", "layers", "models"},
    "pipeline": {"types", "gold", "registry", "origin", "models", "pipeline"},
    "audit": {"types", "gold", "readers", "pipeline", "audit"},
    "cotraining": {"types", "gold", "readers", "pipeline", "cotraining"},
    "cli": {"registry", "audit", "cotraining", "pipeline", "readers", "converters", "models", "types", "cli"},
    "__init__": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def unit(path):
    """The folder, or top-level module, that a file belongs to."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_units(path):
    """The units of the package that a file imports."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == 0:
            if (node.module or "").startswith("spacy_mtl"):
                yield ([*node.module.split("."), "__init__"])[1]
        elif node.level < depth:
            yield unit(path)
        else:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.split(".")[0] for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    assert set(imported_units(path)) - {unit(path)} <= ALLOWED[unit(path)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heads_and_weightings_do_not_import_each_other(path):
    if unit(path) in ("heads", "weightings", "samplers", "sharing"):
        source = ast.parse(path.read_text(encoding="utf8"))
        relative = [node for node in ast.walk(source) if isinstance(node, ast.ImportFrom) and node.level == 1]
        assert not relative
