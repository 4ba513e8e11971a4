"""A graph from files of texts, which are read one text at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..readers.raw_texts import find_text_files, read_texts
from ..relation import RELATIONS
from .knowledge_graph import KnowledgeGraph


def build_graph(nlp: Language, paths: Sequence[Path], graph: KnowledgeGraph, *, key: str = RELATIONS) -> KnowledgeGraph:
    """Find the relations in all texts, and merge them into a graph. Shows the progress in a terminal.

    nlp (Language): A pipeline that writes relations.
    paths (Sequence[Path]): `.txt`, `.jsonl` or `.spacy` files, or folders of them. A `.spacy` file is held as a whole,
        and its annotation is not used.
    key (str): The span group of the relations.
    graph (KnowledgeGraph): What to add to.
    RETURNS (KnowledgeGraph): The same graph.
    RAISES ValueError: A file is missing, broken or has no text, or the pipeline writes no relations.
    """
    files = [file for path in paths for file in find_text_files(path)]
    texts = ((doc, source) for file in files for doc, source in _sources(nlp, file))
    for doc, source in tqdm(nlp.pipe(texts, as_tuples=True), unit=" texts", disable=None):
        # all docs have the group or none has, and this must not be found out at the end of a long run
        if graph.n_docs == 0 and key not in doc.spans:
            raise ValueError(_no_relations(nlp, key))
        graph.add(doc, source, key=key)
    return graph


def _sources(nlp: Language, file: Path) -> Iterator[tuple[Doc, str]]:
    for number, doc in enumerate(read_texts(file, nlp), start=1):
        yield doc, f"{file.name}, text {number}"


def _no_relations(nlp: Language, key: str) -> str:
    return (
        f"the pipeline writes no relations: after its components {', '.join(nlp.pipe_names) or 'none'}, the first text "
        f"has no doc.spans[{key!r}]. Train it with a head spacy_mtl.RelationExtractor.v1, or name the span group that "
        "its relations are in (--key)"
    )
