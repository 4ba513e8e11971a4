"""GraphML and JSON, through networkx."""

import json
import re
from pathlib import Path
from typing import Any

from .knowledge_graph import KnowledgeGraph
from .optional_package import import_for

# what XML 1.0 can't contain, not even as an escape
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_graphml(graph: KnowledgeGraph, path: Path) -> None:
    """Write GraphML, for Gephi, yEd, Cytoscape and igraph. The sentences of an edge are one text, one a line.
    Characters that XML can't contain are left out.
    """
    networkx = import_for(".graphml", "networkx")
    nx_graph = networkx.MultiDiGraph()
    for node in graph.nodes.values():
        names = "\n".join(name for name, _ in node.names.most_common())
        values = {"label": node.name, "type": node.type, "kb_id": node.kb_id, "count": node.count, "names": names}
        nx_graph.add_node(_clean(node.id), **_cleaned(values))
    for number, edge in enumerate(graph.edges.values()):
        values = {"label": edge.label, "confidence": edge.confidence, "count": edge.count}
        values |= {"sentences": "\n".join(sentence.text for sentence in edge.sentences), "id": f"e{number}"}
        nx_graph.add_edge(_clean(edge.head), _clean(edge.tail), **_cleaned(values))
    networkx.write_graphml(nx_graph, path, edge_id_from_attribute="id")


def write_json(graph: KnowledgeGraph, path: Path) -> None:
    """Write the node-link form, which `networkx.node_link_graph` and D3 read."""
    networkx = import_for(".json", "networkx")
    nx_graph = networkx.MultiDiGraph(texts=graph.n_docs, max_sentences=graph.max_sentences)
    for node in graph.nodes.values():
        values = {"name": node.name, "type": node.type, "kb_id": node.kb_id, "count": node.count}
        nx_graph.add_node(node.id, **values, names=dict(node.names.most_common()))
    for edge in graph.edges.values():
        sentences = [vars(sentence) for sentence in edge.sentences]
        values = {"label": edge.label, "confidence": edge.confidence, "count": edge.count, "sentences": sentences}
        nx_graph.add_edge(edge.head, edge.tail, key=edge.label, **values)
    data = networkx.node_link_data(nx_graph, edges="edges")
    with path.open("w", encoding="utf8", newline="\n") as file:
        json.dump(data, file, ensure_ascii=False, indent=1)
        file.write("\n")


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _clean(value) if isinstance(value, str) else value for key, value in values.items()}


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("", text)
