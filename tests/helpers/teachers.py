"""Small trained pipelines that teach: a multitask component, and spaCy's own pipes."""

import random
from typing import Any

import spacy
from pipelines import JOINT
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import fix_random_seed
from toy import ENCODER, make_docs

from spacy_mtl.gold import unannotated

TAGS = {"play": "V", "who": "W", "where": "W", "is": "V", "in": "P", "by": "P"}
NATIVE_ENCODER = {"@architectures": "spacy.HashEmbedCNN.v2"} | {
    key: value for key, value in ENCODER.items() if key != "@architectures"
}


def tagged_docs(n_docs: int, seed: int) -> list[Doc]:
    """Toy docs with tags, parts of speech and features, too."""
    docs = make_docs(n_docs, seed)
    for doc in docs:
        for token in doc:
            token.tag_ = TAGS.get(token.text, "N")
            token.pos_ = {"V": "VERB", "P": "ADP"}.get(token.tag_, "NOUN")
            token.set_morph("Number=Sing" if token.tag_ == "N" else "")
        for token in doc[1:]:
            token.is_sent_start = False
    return docs


def train(nlp: Language, docs: list[Doc], *, steps: int = 25) -> Language:
    """Train a few steps on docs, in this process."""
    fix_random_seed(0)
    examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in docs]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    rng = random.Random(0)
    for _ in range(steps):
        nlp.update(rng.sample(examples, min(24, len(examples))), sgd=optimizer)
    return nlp


def multitask_teacher(heads: dict[str, Any] | None = None, docs: list[Doc] | None = None, **options: Any) -> Language:
    nlp = spacy.blank("xx")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads or JOINT})
    return train(nlp, docs or make_docs(60, 5), **options)


def native_teacher(*pipes: str, listener: bool = False, lang: str = "xx", **options: Any) -> Language:
    """A pipeline of spaCy's own components."""
    nlp = spacy.blank(lang)
    tok2vec: dict[str, Any] = NATIVE_ENCODER
    if listener:
        nlp.add_pipe("tok2vec", config={"model": NATIVE_ENCODER})
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": NATIVE_ENCODER["width"]}
    for pipe in pipes:
        config = nlp.get_factory_meta(pipe).default_config["model"]
        if "tok2vec" in config:
            nlp.add_pipe(pipe, config={"model": {"tok2vec": tok2vec}})
        else:
            nlp.add_pipe(pipe)
    return train(nlp, tagged_docs(60, 5), **options)
