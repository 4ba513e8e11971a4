"""Small pipelines, examples and comparisons that several tests build on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.language import Language
from spacy.training import Example
from thinc.api import fix_random_seed

ENCODER = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": 32,
    "depth": 2,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}
EMBED = {
    "@architectures": "spacy.MultiHashEmbed.v2",
    "width": 32,
    "attrs": ["NORM", "SHAPE"],
    "rows": [200, 100],
    "include_static_vectors": False,
}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "*"}
TEXTS = [
    ("play some jazz in Berlin", {"play": 1.0, "ask": 0.0}, [(10, 14, "GENRE"), (18, 24, "LOC")]),
    ("who is Anna Schmidt", {"play": 0.0, "ask": 1.0}, [(7, 19, "PER")]),
    ("play Anna", {"play": 1.0, "ask": 0.0}, [(5, 9, "PER")]),
    ("where is Berlin", {"play": 0.0, "ask": 1.0}, [(9, 15, "LOC")]),
]


def heads_config(**heads: dict[str, Any]) -> dict[str, Any]:
    """Heads by name; `kind` is the maker's name without package and version."""
    return {
        name: {"@mtl_heads": f"spacy_mtl.{settings['kind']}.v1"} | {k: v for k, v in settings.items() if k != "kind"}
        for name, settings in heads.items()
    }


JOINT = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer", "condition_on": "intent"})


def make_examples(nlp: Language, *, cats: bool = True, ents: bool = True) -> list[Example]:
    """Small gold examples, with or without either annotation."""
    examples = []
    for text, labels, spans in TEXTS:
        reference = nlp.make_doc(text)
        if cats:
            reference.cats = dict(labels)
        if ents:
            reference.set_ents([reference.char_span(*span) for span in spans], default="outside")
        examples.append(Example(nlp.make_doc(text), reference))
    return examples


def make_nlp(
    heads: dict[str, Any] | None = None,
    *,
    listener: bool = False,
    examples: Callable[[Language], list[Example]] | None = None,
    tok2vec: dict[str, Any] = ENCODER,
    **settings: Any,
) -> Language:
    """An initialised small pipeline: the component over its own encoder, or over the listener of a tok2vec pipe."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": tok2vec})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER if listener else tok2vec}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT if heads is None else heads, **settings})
    nlp.initialize(lambda: (examples or make_examples)(nlp))
    return nlp


def train(nlp: Language, examples: list[Example], *, steps: int = 40) -> dict[str, float]:
    """Update on one batch again and again. RETURNS: the last step's losses."""
    optimizer = nlp.resume_training()
    losses: dict[str, float] = {}
    for _ in range(steps):
        losses = {}
        nlp.update(examples, sgd=optimizer, losses=losses)
    return losses


def weights_of(pipe: Any) -> dict[tuple[int, str], Any]:
    """A copy of all parameters of a pipe's network, by place in the walk and name."""
    return {
        (place, name): node.get_param(name).copy()
        for place, node in enumerate(pipe.model.walk())
        for name in node.param_names
        if node.has_param(name)
    }


def has_moved(before: dict[tuple[int, str], Any], after: dict[tuple[int, str], Any]) -> bool:
    """Whether any parameter differs."""
    return any(not np.array_equal(before[key], after[key]) for key in before)


def assert_learns(nlp: Language) -> dict[str, Any]:
    """A transformer with the heads of `JOINT` learns the small examples by heart. RETURNS: its scores on them."""
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = 0.002
    losses = [nlp.update(make_examples(nlp), sgd=optimizer, losses={})["multitask"] for _ in range(120)]
    assert losses[-1] < 0.3 * losses[0]
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["slots_f"] > 0.8
    return scores


def check_learns_and_is_saved(encoder: dict[str, Any], path: Path) -> None:
    """A component over this encoder learns a few examples by heart, and predicts the same when it is loaded again."""
    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder})
    first = train(nlp, make_examples(nlp), steps=1)["multitask"]
    assert train(nlp, make_examples(nlp), steps=60)["multitask"] < first / 10
    nlp.to_disk(path)
    text = "play some jazz in Berlin"
    expected, found = nlp(text).cats, spacy.load(path)(text).cats
    assert found.keys() == expected.keys()
    assert all(abs(found[label] - expected[label]) < 1e-6 for label in expected)
