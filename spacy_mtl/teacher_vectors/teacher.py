"""The transformer of a teacher: of a spaCy pipeline, or a model of Hugging Face."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.util import is_package, load_model

from ..encoders.transformer.transformer_encoder import init, make_transformer_encoder_v1
from ..protocols.arrays import Tok2VecT
from ..whole_folder import PIPELINE_FILES


def load_teacher(name: str) -> Tok2VecT:
    """Load the transformer as a `TransformerEncoder`.

    name (str): A spaCy pipeline, as a folder or an installed package, or a model of Hugging Face, as a folder or a name
        on the hub.
    RAISES ValueError: There is no such model, or the pipeline has no transformer.
    """
    if is_package(name) or all((Path(name) / file).is_file() for file in PIPELINE_FILES):
        return transformer_of(load_model(name), name)
    return from_hugging_face(name)


def from_hugging_face(name: str) -> Tok2VecT:
    """Load a model of Hugging Face."""
    model = make_transformer_encoder_v1(name)
    init(model)
    return model


def transformer_of(nlp: Language, name: str) -> Tok2VecT:
    """Find the transformer of a pipeline: a `TransformerEncoder` in any component, or a pipe of spacy-transformers.

    name (str): Name of the pipeline, for the error.
    """
    for _, pipe in nlp.components:
        for node in pipe.model.walk() if isinstance(pipe, TrainablePipe) and not isinstance(pipe.model, bool) else ():
            if node.name == "transformer_encoder":
                return node
            if "has_transformer" in node.attrs:
                return _from_spacy_transformers(node)
    raise ValueError(
        f"the teacher {name!r} is a pipeline without a transformer; its components are "
        f"{', '.join(nlp.component_names) or 'none'}. Name one with spacy_mtl.TransformerEncoder.v1 or a transformer "
        "pipe of spacy-transformers, or a Hugging Face model"
    )


def _from_spacy_transformers(node: Any) -> Tok2VecT:
    """Load the transformer anew from files, so that its tokenizer cuts each word as if a blank came before it."""
    with TemporaryDirectory() as folder:
        node.tokenizer.save_pretrained(folder)
        node.transformer.save_pretrained(folder)
        return from_hugging_face(folder)
