"""The files that a graph can be written to, by their suffix."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .edge_table import write_csv
from .graph_page import write_html
from .knowledge_graph import KnowledgeGraph
from .networkx_files import write_graphml, write_json
from .optional_package import import_for
from .turtle_file import write_turtle


@dataclass(frozen=True)
class GraphFile:
    """A kind of file.

    write (Callable[[KnowledgeGraph, Path], None]): Writes it. package (str): What must be installed; "" for nothing.
    """

    write: Callable[[KnowledgeGraph, Path], None]
    package: str = ""


GRAPH_FILES = {
    ".graphml": GraphFile(write_graphml, "networkx"),
    ".json": GraphFile(write_json, "networkx"),
    ".ttl": GraphFile(write_turtle, "rdflib"),
    ".csv": GraphFile(write_csv),
    ".html": GraphFile(write_html),
}


def check_graph_file(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Find out before a long run whether a graph can be written to a file. Its folder is made.

    inputs (Sequence[Path]): Files and folders that must not be replaced.
    RAISES ValueError: The suffix is unknown, or the path is a folder or an input.
    RAISES ImportError: A package is missing.
    RAISES OSError: The folder can't be made, or files can't be made in it.
    """
    if path.suffix not in GRAPH_FILES:
        raise ValueError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(GRAPH_FILES)}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file, such as {path / f'graph{path.suffix}'}")
    if path.exists() and any(path.samefile(one) for one in inputs if one.exists()):
        raise ValueError(f"{path} is one of the texts; name another file for the graph")
    package = GRAPH_FILES[path.suffix].package
    if package:
        import_for(path.suffix, package)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as new:
        new.touch()


def write_graph(graph: KnowledgeGraph, path: Path) -> None:
    """Write a graph in the form that the suffix asks for. An older file is replaced when the new one is complete."""
    with _temporary(path) as new:
        GRAPH_FILES[path.suffix].write(graph, new)
        os.replace(new, path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A file beside the one to write, removed if it is still there at the end."""
    new = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)
