"""Export a trained pipeline whose encoder runs as ONNX graphs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.util import load_model, replace_model_node
from spacy.vocab import Vocab
from thinc.api import Model

from ..encoders.hash_embed_cnn.piece_layer import PIECES
from ..encoders.hash_embed_cnn.piece_vectors import PieceVectors
from ..encoders.hash_embed_cnn.thinc_nodes import find_network
from ..extras import add_requirement
from ..protocols.arrays import Tok2VecT
from ..whole_folder import check_writable, write_whole
from .cnn_graphs import encoder_graphs
from .onnx_encoder import make_onnx_encoder_v1

# spaCy's own architecture can be exported too, since its nodes are the same.
ARCHITECTURES = ("spacy_mtl.HashEmbedCNN.v1", "spacy_mtl.MultiHashEmbedCNN.v1", "spacy.HashEmbedCNN.v2")
ConfigT = dict[str, Any]


def export_pipeline(path: str | Path, output: Path) -> dict[str, int]:
    """Write a pipeline that predicts the same with its encoder running in onnxruntime.

    path (str | Path): Folder of a trained pipeline, or the name of an installed one.
    output (Path): Folder that is empty or does not exist. It gets all files, or none if one of them cannot be written.
    RETURNS (dict[str, int]): Size of the graphs in bytes, by the name of the component.
    """
    check_writable(output)
    nlp = load_model(path)
    sizes = export_encoders(nlp)
    write_whole(nlp, output)
    return sizes


def export_encoders(nlp: Language) -> dict[str, int]:
    """Replace the encoders in the networks and configs of the components, so that `nlp.to_disk` writes ONNX graphs.

    Raises a ValueError if no component has an encoder of its own that can be exported.

    RETURNS (dict[str, int]): Size of the graphs in bytes, by the name of the component.
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
        add_requirement(nlp, [pipe.model] if isinstance(pipe, TrainablePipe) else [])
    if not sizes:
        raise ValueError(
            f"none of the components {nlp.pipe_names} has an encoder that can be exported; expected one of the "
            f"architectures {', '.join(ARCHITECTURES)}"
        )
    return sizes


def to_onnx(encoder: Tok2VecT, vocab: Vocab) -> Tok2VecT:
    """Convert an encoder to an `OnnxEncoder` that computes the same.

    encoder (Model): A trained encoder of one of `ARCHITECTURES`.
    vocab (Vocab): The vocab that says by which attribute static vectors are found.
    """
    exported = make_onnx_encoder_v1(encoder.get_dim("nO"))
    network = find_network(encoder)
    exported.attrs["graphs"] = encoder_graphs(network, vocab)
    exported.attrs[PIECES] = network.embedding.pieces or PieceVectors()
    return exported


def _own_encoders(nlp: Language, name: str) -> list[tuple[ConfigT, Tok2VecT]]:
    """Find the encoders of a component that can be exported, each with the section of the config that describes it."""
    sections = list(_encoder_sections(nlp.get_pipe_config(name)))
    if not sections:
        return []
    pipe: Any = nlp.get_pipe(name)
    encoders: list[Model[Any, Any]] = [n for n in pipe.model.walk() if {"embed", "encode"} <= set(n.ref_names)]
    return list(zip(sections, encoders, strict=True))


def _encoder_sections(config: ConfigT) -> Iterator[ConfigT]:
    """Yield the sections of a component's config that describe an encoder of `ARCHITECTURES`."""
    if config.get("@architectures") in ARCHITECTURES:
        yield config
        return
    for value in config.values():
        if isinstance(value, dict):
            yield from _encoder_sections(value)
