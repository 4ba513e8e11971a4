"""Export a trained pipeline: the fast encoder as ONNX graphs for spaCy, and encoder and heads as one for the rest."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import load_model, replace_model_node
from spacy.vocab import Vocab
from thinc.api import Model

from ..encoders.hash_embed_cnn.forward import Tok2VecT
from ..encoders.hash_embed_cnn.thinc_nodes import find_network
from ..protocols.head import GraphInput, OnnxHead
from .cnn_graphs import encoder_graphs, read_settings
from .graph import Graph
from .heads import write_docs
from .onnx_encoder import make_onnx_encoder_v1
from .whole import write_encoder

# spaCy's is a tree of the same nodes
ARCHITECTURES = ("spacy_mtl.HashEmbedCNN.v1", "spacy_mtl.MultiHashEmbedCNN.v1", "spacy.HashEmbedCNN.v2")
ConfigT = dict[str, Any]


def export_pipeline(path: str | Path, output: Path) -> dict[str, int]:
    """Write a pipeline that predicts the same through onnxruntime, and in its folder `onnx` one graph of encoder and
    heads for each `multitask` component.

    path (str | Path): A trained pipeline, or the name of an installed one.
    output (Path): A folder that is empty or does not exist. It gets all files or, if one can't be written, none.
    RETURNS: The size of the graphs in bytes, by the name of the component or of the file.
    """
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty; remove it, or name another folder")
    nlp = load_model(path)
    wholes = {f"onnx/{name}.onnx": graph for name, graph in whole_graphs(nlp).items()}
    sizes = export_encoders(nlp)
    write_whole(nlp, wholes, output)
    return sizes | {file: len(graph) for file, graph in wholes.items()}


def write_whole(nlp: Language, graphs: dict[str, bytes], output: Path) -> None:
    """Write the pipeline and the graphs next to `output` and rename the folder at the end."""
    output = output.resolve()
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        nlp.to_disk(temporary)
        for file, graph in graphs.items():
            (temporary / file).parent.mkdir(exist_ok=True)
            (temporary / file).write_bytes(graph)
        if output.exists():
            output.rmdir()
        temporary.rename(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def export_encoders(nlp: Language) -> dict[str, int]:
    """Replace the encoders in the components' networks and configs, so that `nlp.to_disk` writes ONNX graphs.

    RETURNS: The size of the graphs in bytes, for each component that had an encoder of its own.
    """
    sizes: dict[str, int] = {}
    pipes: list[tuple[str, Any]] = nlp.components
    for name, pipe in pipes:
        for section, encoder in _own_encoders(nlp, name):
            exported = to_onnx(encoder, nlp.vocab)
            if pipe.model is encoder:
                pipe.model = exported
            else:
                replace_model_node(pipe.model, encoder, exported)
            section.clear()
            section.update({"@architectures": "spacy_mtl.OnnxEncoder.v1", "width": exported.get_dim("nO")})
            sizes[name] = sizes.get(name, 0) + sum(map(len, exported.attrs["graphs"].values()))
    if not sizes:
        raise ValueError(
            f"none of the components {nlp.pipe_names} has an encoder that can be exported; expected one of the "
            f"architectures {', '.join(ARCHITECTURES)}"
        )
    return sizes


def to_onnx(encoder: Tok2VecT, vocab: Vocab) -> Tok2VecT:
    """The encoder's ONNX form. `vocab` says by which attribute static vectors are found."""
    exported = make_onnx_encoder_v1(encoder.get_dim("nO"))
    exported.attrs["graphs"] = encoder_graphs(find_network(encoder), vocab)
    return exported


def whole_graphs(nlp: Language) -> dict[str, bytes]:
    """For each `multitask` component over an encoder that can be exported, by name, one graph of both.

    Its inputs are the rows of the hash tables, (n_tokens, n_tables, 4), and the docs' lengths, (n_docs,), at least one
    of them not 0; its outputs the token vectors and each head's scores, see `OnnxHead`. A head that can't write its
    network, or that is conditioned on one that can't, is left out.
    """
    # A head grows to new labels of those that it is conditioned on when it next predicts.
    nlp("a")
    graphs: dict[str, bytes] = {}
    pipes: list[tuple[str, Any]] = nlp.components
    for name, pipe in pipes:
        encoder = _encoder_below(nlp, name) if getattr(pipe, "heads", None) else None
        if encoder is not None and not pipe.model.get_ref("encoder").has_ref("sharing"):
            graphs[name] = whole_graph(encoder, pipe.heads, nlp.vocab)
    return graphs


def whole_graph(encoder: Tok2VecT, heads: dict[str, Any], vocab: Vocab) -> bytes:
    """The graph of encoder and heads. Its metadata has the heads' labels as JSON, in the order of the scores."""
    graph, network = Graph("multitask"), find_network(encoder)
    settings = read_settings(network, vocab)
    rows = graph.input("rows", ["n_tokens", len(settings.sizes), 4], "int64")
    docs = write_docs(graph, graph.input("lengths", ["n_docs"], "int64"))
    tokvecs = write_encoder(graph, network, rows, docs)
    graph.output(tokvecs, "tokvecs", ["n_tokens", settings.width])
    written = write_heads(graph, heads, GraphInput(tokvecs, docs, []))
    labels = {name: list(heads[name].labels) for name in written}
    return graph.to_bytes({**settings.to_metadata(), "labels": json.dumps(labels)})


def write_heads(graph: Graph, heads: dict[str, Any], X: GraphInput) -> list[str]:
    """Write the heads that can be, after those that they are conditioned on. RETURNS: Their names."""
    scores: dict[str, str] = {}
    waiting: dict[str, Any] = {name: head for name, head in heads.items() if isinstance(head, OnnxHead)}
    while ready := [name for name, head in waiting.items() if set(head.condition_on) <= set(scores)]:
        for name in ready:
            head = waiting.pop(name)
            conditions = [heads[other].write_condition(graph, scores[other], X) for other in head.condition_on]
            scores[name] = head.write_scores(graph, GraphInput(X.tokvecs, X.docs, conditions))
    return list(scores)


def _own_encoders(nlp: Language, name: str) -> list[tuple[ConfigT, Tok2VecT]]:
    """A component's encoders that can be exported, each with the section of the config that describes it."""
    sections = list(_encoder_sections(nlp.get_pipe_config(name)))
    if not sections:
        return []
    pipe: Any = nlp.get_pipe(name)
    encoders: list[Model[Any, Any]] = [n for n in pipe.model.walk() if {"embed", "encode"} <= set(n.ref_names)]
    return list(zip(sections, encoders, strict=True))


def _encoder_below(nlp: Language, name: str) -> Tok2VecT | None:
    """The encoder that a component has, or that it listens to; None if it can't be exported."""
    pipe: Any = nlp.get_pipe(name)
    upstream = getattr(pipe.model.get_ref("encoder").get_ref("tok2vec"), "upstream_name", None)
    if upstream is None:
        names = [name]
    else:
        names = [n for n in nlp.pipe_names if upstream in ("*", n) and hasattr(nlp.get_pipe(n), "add_listener")]
    return next((encoder for n in names[-1:] for _, encoder in _own_encoders(nlp, n)), None)


def _encoder_sections(config: ConfigT) -> Iterator[ConfigT]:
    """The sections of a component's config that describe an encoder."""
    if config.get("@architectures") in ARCHITECTURES:
        yield config
        return
    for value in config.values():
        if isinstance(value, dict):
            yield from _encoder_sections(value)
