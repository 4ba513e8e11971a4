"""Commands made from templates: a few of them with gold annotation, the others as raw text."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import spacy
from multi import spacy_corpus, write
from pipelines import JOINT
from spacy.tokens import Doc
from thinc.api import Config

TEMPLATES = {
    "play": ("play some {genre}", "i want {genre} now", "put on {genre} by {name}", "play {name} in {city}"),
    "ask": ("who is {name}", "where is {city}", "is {name} in {city}", "tell me who {name} was"),
}
VALUES = {
    "genre": ("jazz", "blues", "rock", "soul", "hard rock", "acid jazz"),
    "name": ("Anna", "Bert Schmidt", "Clara", "Dora May", "Emil", "Fritz Lang"),
    "city": ("Berlin", "Paris", "New York", "Rome", "Oslo", "San Jose"),
}
ENCODER = {
    "@architectures": "spacy_mtl.HashEmbedCNN.v1",
    "pretrained_vectors": None,
    "width": 32,
    "depth": 1,
    "embed_size": 300,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}


def make_docs(n_docs: int, seed: int) -> list[Doc]:
    """Docs with intents in `cats` and slots in `ents`."""
    rng = random.Random(seed)
    vocab = spacy.blank("en").vocab
    docs = []
    for _ in range(n_docs):
        intent = rng.choice(sorted(TEMPLATES))
        words: list[str] = []
        ents: list[str] = []
        for piece in rng.choice(TEMPLATES[intent]).split():
            slot = piece.strip("{}")
            value = rng.choice(VALUES[slot]).split() if slot in VALUES else [piece]
            words += value
            ents += [f"B-{slot}", *[f"I-{slot}"] * (len(value) - 1)] if slot in VALUES else ["O"]
        doc = Doc(vocab, words=words, ents=ents)
        doc.cats = {name: float(name == intent) for name in sorted(TEMPLATES)}
        docs.append(doc)
    return docs


def make_toy(folder: Path, *, n_gold: int = 12, n_raw: int = 150) -> dict[str, Path]:
    """Write train.spacy, dev.spacy and raw.txt. RETURNS: their paths."""
    raw = folder / "raw.txt"
    folder.mkdir(parents=True, exist_ok=True)
    raw.write_text("\n".join(doc.text for doc in make_docs(n_raw, 2)), encoding="utf8")
    return {
        "train": write(folder / "train.spacy", make_docs(n_gold, 0)),
        "dev": write(folder / "dev.spacy", make_docs(60, 1)),
        "raw": raw,
    }


def toy_config(paths: dict[str, Path], heads: dict[str, Any] | None = None, **training: Any) -> Config:
    """A training config on the toy set, filled and not interpolated. The language is the one that loads fastest."""
    nlp = spacy.blank("xx")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": deepcopy(heads or JOINT)})
    config = nlp.config.copy()
    config["system"]["seed"] = 3
    config["corpora"] = {name: spacy_corpus(paths[name]) for name in ("train", "dev")}
    settings = {"seed": "${system.seed}", "max_steps": 40, "eval_frequency": 40, "dropout": 0.1} | training
    config["training"].update(settings)
    config["training"]["optimizer"]["learn_rate"] = 0.01
    return Config(config)
