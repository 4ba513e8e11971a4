"""Gradients of a component's encoder, by the loss that they come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pipelines import ENCODER, JOINT, heads_config, make_examples, make_nlp
from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.network.finite_gradients import drop_gradients
from spacy_mtl.protocols.weighting import Step

CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}
TWO = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
# Our weightings, and the settings of those that need some in a short training.
WEIGHTINGS = sorted(name.split(".")[1] for name in registry.mtl_weightings.get_all() if name.startswith("spacy_mtl."))
WEIGHTING_SETTINGS: dict[str, dict[str, Any]] = {
    "Targets": {"targets": {"intent": 0.9, "slots": 1.0}},
    "DWA": {"window": 2},
    "Scheduled": {"schedules": {"slots": {"@schedules": "warmup_linear.v1", "initial_rate": 2.0, "warmup_steps": 9,
                                          "total_steps": 20}}},
}  # fmt: skip
__all__ = [
    "CNN",
    "JOINT",
    "TWO",
    "WEIGHTINGS",
    "WEIGHTING_SETTINGS",
    "cosine",
    "encoder_gradient",
    "learn",
    "make_cnn",
    "make_examples",
    "merge",
    "random_gramians",
    "use",
]


def use(name: str, **settings: Any) -> dict[str, Any]:
    """The config of a weighting."""
    return {"@mtl_weightings": f"spacy_mtl.{name}.v1"} | settings


def make_cnn(weighting: dict[str, Any], heads: dict[str, Any] | None = None, **settings: Any) -> Language:
    """An initialised pipeline over an encoder that gives the gradients of its last layer."""
    return make_nlp(heads or TWO, weighting=weighting, tok2vec=CNN, **settings)


def learn(nlp: Language, examples: list[Example], n_steps: int) -> None:
    """Move the heads away from zero, where they send no gradient to the encoder."""
    optimizer = nlp.create_optimizer()
    for _ in range(n_steps):
        nlp.update(examples, sgd=optimizer)


def encoder_gradient(nlp: Language, examples: list[Example], *, last_layer: bool = False) -> np.ndarray:
    """The encoder's gradient of a batch, flat, without a step: of all its parameters, or of its last layer's."""
    for _, pipe in nlp.pipeline:
        drop_gradients(pipe.model)
    nlp.update(examples, sgd=False)  # type: ignore[arg-type]
    name = "tok2vec" if "tok2vec" in nlp.pipe_names else "multitask"
    encoder = nlp.get_pipe(name).model if name == "tok2vec" else nlp.get_pipe(name).encoder
    nodes = list(encoder.walk())
    if last_layer:
        nodes = [[node for node in nodes if node.name == kind][-1] for kind in ("maxout", "layernorm")]
    found = [node.get_grad(name).ravel().copy() for node in nodes for name in node.param_names if node.has_grad(name)]
    for _, pipe in nlp.pipeline:
        drop_gradients(pipe.model)
    return np.concatenate(found)


def merge(weighting: Any, gradients: Mapping[str, Any], **step: Any) -> Any:
    """Merge gradients of any length as if they were those of the last layer and of one token."""
    weighting.bind(list(gradients))
    rows = {name: np.array(gradient, dtype="f") for name, gradient in gradients.items()}
    found = Step(step.pop("number", 0), last_layer=rows, **step)
    factors = weighting.weights(dict.fromkeys(rows, 1.0), found)
    rows = {name: row * factors[name] for name, row in rows.items()}
    found.last_layer = rows
    return weighting.merge({name: row[None] for name, row in rows.items()}, found)[0]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Of the angle between two flat gradients."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def random_gramians(n_seeds: int = 40, *, independent: bool = False) -> list[np.ndarray]:
    """Gramians of 2 to 8 gradients of very different lengths, which may depend on each other."""
    found = []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        m = int(rng.integers(2, 9))
        width = 4 * m if independent else int(rng.choice([1, 2, m, 50]))
        rows = rng.normal(size=(m, width)) * np.exp(rng.normal(size=(m, 1)))
        found.append(rows @ rows.T)
    return found
