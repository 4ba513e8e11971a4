"""A table of the relations as CSV."""

import csv
from pathlib import Path

from .knowledge_graph import KnowledgeGraph

COLUMNS = ("head", "head_type", "head_id", "label", "tail", "tail_type", "tail_id", "confidence", "count", "sentences")


def write_csv(graph: KnowledgeGraph, path: Path) -> None:
    """Write a row for each edge. The sentences are in one cell, one a line."""
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for edge in graph.strongest_edges():
            head, tail = graph.nodes[edge.head], graph.nodes[edge.tail]
            sentences = "\n".join(sentence.text for sentence in edge.sentences)
            ends = ((head.name, head.type, head.id), (tail.name, tail.type, tail.id))
            writer.writerow([*ends[0], edge.label, *ends[1], f"{edge.confidence:.4f}", edge.count, sentences])
