"""A small pipeline with a head for each form in which predictions are shown."""

from itertools import pairwise
from typing import Any

from pipelines import ENCODER, heads_config, make_nlp, train
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.relation import Relation, set_relations

HEADS = heads_config(
    intent={"kind": "DocClassifier"},
    entities={"kind": "EntityRecognizer"},
    spans={"kind": "SpanClassifier", "spans_key": "sc"},
    tag={"kind": "Tagger", "attr": "tag"},
    lemma={"kind": "Lemmatizer", "min_tree_freq": 1},
    tree={"kind": "DependencyParser", "arc_width": 16, "label_width": 8},
    relations={"kind": "RelationExtractor", "depends_on": "entities"},
    mood={"kind": "Regressor", "attribute": "mood"},
)
# words, tags, lemmas, heads, labels, entities, class, number
SENTENCES: list[tuple[Any, ...]] = [
    (
        "Anna Schmidt works for Siemens in Munich",
        "NNP NNP VBZ IN NNP IN NNP",
        "Anna Schmidt work for Siemens in Munich",
        [1, 2, 2, 2, 3, 2, 5],
        "compound nsubj ROOT prep pobj prep pobj",
        [("PER", 0, 2), ("ORG", 4, 5), ("LOC", 6, 7)],
        "news",
        1.5,
    ),
    (
        "Paul founded Acme in Berlin",
        "NNP VBD NNP IN NNP",
        "Paul found Acme in Berlin",
        [1, 1, 1, 1, 3],
        "nsubj ROOT dobj prep pobj",
        [("PER", 0, 1), ("ORG", 2, 3), ("LOC", 4, 5)],
        "news",
        3.0,
    ),
    (
        "play some jazz",
        "VB DT NN",
        "play some jazz",
        [0, 2, 0],
        "ROOT det dobj",
        [],
        "play",
        -2.0,
    ),
]
TEXTS = [sentence[0] for sentence in SENTENCES]


def make_gold(nlp: Language) -> list[Example]:
    """The sentences with all annotation."""
    examples = []
    for text, tags, lemmas, heads, deps, entities, name, number in SENTENCES:
        words = text.split()
        doc = Doc(nlp.vocab, words=words, tags=tags.split(), lemmas=lemmas.split(), heads=heads, deps=deps.split())
        spans = [Span(doc, start, end, label) for label, start, end in entities]
        doc.set_ents(spans, default="outside")
        doc.cats = {"news": float(name == "news"), "play": float(name == "play")}
        labels = ("works_for", "based_in")
        found = [Relation(one, other, label) for (one, other), label in zip(pairwise(spans), labels, strict=False)]
        set_relations(doc, found, with_scores=False)
        # one span inside of another
        doc.spans["sc"] = [Span(doc, 0, len(doc), "CLAUSE"), Span(doc, len(doc) - 2, len(doc), "END")]
        if not Doc.has_extension("mood"):
            Doc.set_extension("mood", default=None)
        doc._.mood = {"joy": number}
        examples.append(Example(Doc(nlp.vocab, words=words), doc))
    return examples


def every_form(*, steps: int = 80) -> Language:
    """The pipeline, trained on the sentences."""
    tok2vec = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}
    nlp = make_nlp(HEADS, examples=make_gold, tok2vec=tok2vec)
    train(nlp, make_gold(nlp), steps=steps)
    return nlp
