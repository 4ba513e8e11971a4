"""RDF in Turtle, through rdflib."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from .knowledge_graph import KnowledgeGraph, Node
from .optional_package import import_for


def write_turtle(graph: KnowledgeGraph, path: Path) -> None:
    """Write Turtle. Each edge is a triple, and a reified `rdf:Statement` that carries confidence, count and sentences.

    IRIs begin with the graph's namespace, followed by `entity/`, `type/` or `relation/`. An entry of a knowledge base
    that is an IRI stays as it is.
    """
    rdflib = import_for(".ttl", "rdflib")
    names = {part: rdflib.Namespace(f"{graph.namespace}{part}/") for part in ("entity", "type", "relation")}
    own = rdflib.Namespace(graph.namespace)
    result = rdflib.Graph()
    result.bind("own", own)
    for prefix, one in names.items():
        result.bind(prefix, one)
    iris = {node.id: _iri(rdflib, node, names["entity"]) for node in graph.nodes.values()}
    for node in graph.nodes.values():
        result.add((iris[node.id], rdflib.RDFS.label, rdflib.Literal(node.name)))
        result.add((iris[node.id], own["count"], rdflib.Literal(node.count)))
        for name in node.names.keys() - {node.name}:
            result.add((iris[node.id], rdflib.SKOS.altLabel, rdflib.Literal(name)))
        for kind in node.types:
            if kind:
                result.add((iris[node.id], rdflib.RDF.type, names["type"][quote(kind, safe="")]))
    for edge in graph.edges.values():
        triple = iris[edge.head], names["relation"][quote(edge.label, safe="")], iris[edge.tail]
        statement = rdflib.BNode()
        result.add(triple)
        result.add((statement, rdflib.RDF.type, rdflib.RDF.Statement))
        parts = (rdflib.RDF.subject, rdflib.RDF.predicate, rdflib.RDF.object)
        for part, value in zip(parts, triple, strict=True):
            result.add((statement, part, value))
        result.add((statement, own["confidence"], rdflib.Literal(edge.confidence)))
        result.add((statement, own["count"], rdflib.Literal(edge.count)))
        for sentence in edge.sentences:
            result.add((statement, own["sentence"], rdflib.Literal(sentence.text)))
    result.serialize(path, format="turtle", encoding="utf-8")


def _iri(rdflib: Any, node: Node, namespace: Any) -> Any:
    if node.kb_id.startswith(("http:", "https:", "urn:")):
        return rdflib.URIRef(quote(node.kb_id, safe=":/?#[]@!$&'()*+,;=%~"))
    return namespace[quote(node.id, safe="")]
