"""The graph as an HTML page to explore: one file that needs no network."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..report.page import RenderedSection, lay_out_page
from ..report.templating import asset, render
from .knowledge_graph import Edge, KnowledgeGraph, Node

# More can't be told apart in a drawing, and the layout would take long.
MAX_DRAWN = 150
MAX_ROWS = 1000
# Types have one of so many colours; those that are found less often share the last one.
N_COLORS = 8


@dataclass
class Frame:
    """Title and facts of the page."""

    title: str
    facts: dict[str, str]


def write_html(graph: KnowledgeGraph, path: Path) -> None:
    """Write the page."""
    path.write_text(make_graph_page(graph), encoding="utf8", newline="\n")


def make_graph_page(graph: KnowledgeGraph) -> str:
    """Make the HTML: a drawing of the best-connected entities, and tables of relations and entities."""
    edges = list(graph.strongest_edges())
    nodes = sorted(graph.nodes.values(), key=lambda node: -node.count)
    colors = colors_of(nodes)
    drawn = best_connected(edges, MAX_DRAWN)
    shown = [edge for edge in edges if edge.head in drawn and edge.tail in drawn]
    data = {
        "nodes": [node_data(graph.nodes[name], colors) for name in drawn],
        "edges": [edge_data(edge, number) for number, edge in enumerate(shown)],
    }
    legend = {kind: color for kind, color in colors.items() if any(graph.nodes[name].type == kind for name in drawn)}
    drawing = render(
        "graph_drawing.html",
        data=data,
        legend=legend,
        labels=sorted({edge.label for edge in shown}),
        n_nodes=len(nodes),
        n_drawn=len(drawn),
        style=asset("graph.css"),
        scripts=[asset("cytoscape.min.js"), asset("graph_style.js"), asset("graph.js")],
    )
    rows = [(graph.nodes[edge.head], edge, graph.nodes[edge.tail]) for edge in edges[:MAX_ROWS]]
    relations = render("graph_relations.html", rows=rows, n_rows=len(edges), max_sentences=graph.max_sentences)
    degrees = Counter(name for edge in edges for name in {edge.head, edge.tail})
    entities = render("graph_entities.html", rows=nodes[:MAX_ROWS], n_rows=len(nodes), degrees=degrees)
    facts = {"Texts": f"{graph.n_docs:,}", "Entities": f"{len(nodes):,}", "Relations": f"{len(edges):,}"}
    sections = [
        RenderedSection("graph", "Graph", drawing),
        RenderedSection("relations", "Relations", relations),
        RenderedSection("entities", "Entities", entities),
    ]
    return lay_out_page(Frame("Knowledge graph", facts), sections)


def best_connected(edges: list[Edge], limit: int) -> list[str]:
    """The nodes with the most and strongest relations, in this order, without those that then have none."""
    weights: Counter[str] = Counter()
    for edge in edges:
        for name in {edge.head, edge.tail}:
            weights[name] += edge.confidence  # type: ignore[assignment]
    kept = [name for name, _ in weights.most_common(limit)]
    linked = {name for edge in edges if edge.head in kept and edge.tail in kept for name in (edge.head, edge.tail)}
    return [name for name in kept if name in linked]


def colors_of(nodes: list[Node]) -> dict[str, int]:
    """The number of each type's colour, from 1; the most frequent types come first."""
    counts = Counter(node.type for node in nodes)
    return {kind: min(place, N_COLORS) for place, (kind, _) in enumerate(counts.most_common(), start=1)}


def node_data(node: Node, colors: dict[str, int]) -> dict[str, Any]:
    """What the drawing needs of a node."""
    values = {"id": node.id, "name": node.name, "type": node.type, "kb_id": node.kb_id, "count": node.count}
    return values | {"color": colors[node.type]}


def edge_data(edge: Edge, number: int) -> dict[str, Any]:
    """What the drawing needs of an edge. Its ID can't be that of a node, which has no blank at its beginning."""
    values = {"id": f" {number}", "source": edge.head, "target": edge.tail, "label": edge.label, "count": edge.count}
    sentences = [vars(sentence) for sentence in edge.sentences]
    return values | {"confidence": round(edge.confidence, 4), "sentences": sentences}
