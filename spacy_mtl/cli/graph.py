"""`python -m spacy mtl graph`: a knowledge graph from the relations in texts."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg

from ..graph.build_graph import build_graph
from ..graph.graph_files import check_graph_file, write_graph
from ..graph.knowledge_graph import NAMESPACE, KnowledgeGraph
from ..relation import RELATIONS


def graph_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline that writes relations: a folder or a package")],
    texts: Annotated[
        list[Path],
        typer.Argument(help="Files with texts: .txt (one a line), .jsonl (key text), .spacy; or folders of these"),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Output file: .html, .graphml, .json, .ttl or .csv", dir_okay=True)
    ],
    min_count: Annotated[
        int, typer.Option(help="Number of times a relation must be found to be in the graph", min=1)
    ] = 1,
    min_confidence: Annotated[
        float, typer.Option(help="Mean probability that a relation must have to be in the graph", min=0.0, max=1.0)
    ] = 0.0,
    sentences: Annotated[int, typer.Option(help="Maximum number of sentences to keep for each relation", min=0)] = 5,
    all_entities: Annotated[
        bool, typer.Option("--all-entities", help="Keep entities without a relation as well")
    ] = False,
    symmetric: Annotated[
        list[str] | None,
        typer.Option(help="Label that holds in both directions, whose two edges become one; may be repeated"),
    ] = None,
    key: Annotated[str, typer.Option(help="Span group of the relations")] = RELATIONS,
    namespace: Annotated[str, typer.Option(help="What the IRIs in .ttl begin with")] = NAMESPACE,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Path to Python file with functions to register")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU ID or -1 for CPU")] = -1,
) -> None:
    """Find the relations in texts and merge them into one knowledge graph.

    An entity is a node. Mentions are the same entity if an entity linker gave them the same entry of its knowledge
    base (ent.kb_id_), or else if type and text agree, apart from case, white space and compatible characters.

    A relation is an edge from head to tail, with its label, how often it was found (count), its mean probability
    (confidence), and the sentences in which it is most probable.

    \b
    .html     page to explore and search, one file that needs no network
    .graphml  for Gephi, Cytoscape, yEd or igraph    (pip install 'spacy-mtl[graph]')
    .json     node-link form, for networkx and D3    (the same)
    .ttl      RDF in Turtle                          (the same)
    .csv      one row a relation

    Texts are read one by one, and only the graph is kept in memory. A .spacy file is read as a whole; its annotation
    is not used. OUTPUT is written at the end, in place of an older file. If anything fails, the older file stays.

    \b
    Examples (each after: python -m spacy mtl graph):
      training/model-best news.txt --output news.html
      training/model-best news/ blogs.jsonl -o kg.graphml --min-count 2 --min-confidence 0.8
      training/model-best news.txt -o kg.ttl --namespace https://example.org/kg/
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    try:
        check_graph_file(output, texts)
        graph = KnowledgeGraph(max_sentences=sentences, namespace=namespace, symmetric=symmetric or ())
        build_graph(load_model(model), texts, graph, key=key)
        part = graph.part(min_count=min_count, min_confidence=min_confidence, all_nodes=all_entities)
        if not part.edges:
            raise ValueError(_nothing_found(graph))
        write_graph(part, output)
    except (ImportError, ValueError, OSError) as error:
        msg.fail("No graph was written", str(error), exits=1)
    print(f"{graph.n_docs} texts, {len(part.nodes)} entities, {len(part.edges)} relations")
    msg.good("Wrote the graph", str(output))


def _nothing_found(graph: KnowledgeGraph) -> str:
    if graph.edges:
        most = max(edge.count for edge in graph.edges.values())
        best = max(edge.confidence for edge in graph.edges.values())
        return (
            f"none of {len(graph.edges)} relations reaches both --min-count and --min-confidence; the highest count is "
            f"{most}, the highest confidence {best:.2f}"
        )
    return f"no relation was found in {graph.n_docs} texts, with {len(graph.nodes)} entities"
