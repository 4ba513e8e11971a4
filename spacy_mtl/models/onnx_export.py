"""Put the ONNX form in the place of each fast encoder of a pipeline."""

from collections.abc import Iterator
from typing import Any

from spacy.language import Language
from spacy.vocab import Vocab
from thinc.api import Model

from ..layers.cnn_forward import Tok2VecT
from ..layers.cnn_network import find_network
from ..layers.onnx_network import encoder_graphs
from .onnx_encoder import make_onnx_encoder_v1

# spaCy's two are trees of the same nodes
ARCHITECTURES = (
    "spacy_mtl.HashEmbedCNN.v1",
    "spacy_mtl.MultiHashEmbedCNN.v1",
    "spacy.HashEmbedCNN.v1",
    "spacy.HashEmbedCNN.v2",
)
ConfigT = dict[str, Any]


def export_encoders(nlp: Language) -> dict[str, int]:
    """Replace the encoders in the components' networks and configs, so that `nlp.to_disk` writes ONNX graphs.

    RETURNS: The size of the graphs in bytes, for each component that had an encoder of its own.
    """
    sizes: dict[str, int] = {}
    for name, pipe in nlp.components:
        sections = list(_encoder_sections(nlp.get_pipe_config(name)))
        for section, encoder in zip(sections, _encoders(pipe) if sections else [], strict=True):
            exported = to_onnx(encoder, nlp.vocab)
            if pipe.model is encoder:
                pipe.model = exported
            else:
                pipe.model.replace_node(encoder, exported)
            section.clear()
            section.update({"@architectures": "spacy_mtl.OnnxEncoder.v1", "width": exported.get_dim("nO")})
            sizes[name] = sizes.get(name, 0) + sum(map(len, exported.attrs["graphs"].values()))
    if not sizes:
        raise ValueError(
            f"no component of {nlp.pipe_names} has an encoder that can be exported; expected one of the architectures "
            f"{', '.join(ARCHITECTURES)}"
        )
    return sizes


def to_onnx(encoder: Tok2VecT, vocab: Vocab) -> Tok2VecT:
    """The encoder's ONNX form. `vocab` says by which attribute static vectors are found."""
    exported = make_onnx_encoder_v1(encoder.get_dim("nO"))
    exported.attrs["graphs"] = encoder_graphs(find_network(encoder), vocab)
    return exported


def _encoder_sections(config: ConfigT) -> Iterator[ConfigT]:
    """The sections of a component's config that describe an encoder, in the order of their names."""
    if config.get("@architectures") in ARCHITECTURES:
        yield config
        return
    for key in sorted(config):
        if isinstance(config[key], dict):
            yield from _encoder_sections(config[key])


def _encoders(pipe: Any) -> list[Model[Any, Any]]:
    """The nodes of these architectures."""
    return [node for node in pipe.model.walk() if {"embed", "encode"} <= set(node.ref_names)]
