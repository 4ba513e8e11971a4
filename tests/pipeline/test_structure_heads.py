"""The heads for structure, numbers and several classes in one pipeline: threads, processes, two components, reloading,
going on with a training, frozen and sourced.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, LISTENER, has_moved, heads_config, make_nlp, weights_of
from spacy.attrs import ENT_IOB, HEAD, SENT_START
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_mtl.relation import Relation, set_relations

HEADS = heads_config(
    ents={"kind": "EntityRecognizer"},
    relations={"kind": "RelationExtractor", "depends_on": "ents", "symmetric": ["met"], "found_entities": 0.5},
    parser={"kind": "DependencyParser", "arc_width": 8, "label_width": 4},
    lemma={"kind": "Lemmatizer", "min_tree_freq": 1},
    spans={"kind": "SpanClassifier", "depends_on": "ents", "spans_key": "roles"},
    mood={"kind": "Regressor", "numbers": ["joy"]},
    topics={"kind": "DocClassifier", "exclusive": False, "count_classes": True, "near_tokens": True},
)
SENTENCES = ("Anna met Bert", "Acme hired Clara", "Bert left Acme", "it rained", "Clara met Anna", "Acme hired Bert")
TYPES = {"Anna": "PER", "Bert": "PER", "Clara": "PER", "Acme": "ORG"}


def gold_doc(vocab, text):
    words = text.split()
    doc = Doc(
        vocab,
        words=words,
        heads=[1] * len(words),
        deps=["nsubj", "ROOT", "dobj"][: len(words)],
        lemmas=[words[0], words[1][:-1], *words[2:]],
    )
    doc.ents = [Span(doc, token.i, token.i + 1, TYPES[token.text]) for token in doc if token.text in TYPES]
    related = [Relation(*doc.ents, words[1])] if len(doc.ents) == 2 else []
    set_relations(doc, related, with_scores=False)
    doc.spans["roles"] = [Span(doc, ent.start, ent.end, "AGENT" if ent.start == 0 else "PATIENT") for ent in doc.ents]
    doc.cats = {"joy": 3.0 * len(words[0]), "work": float("Acme" in words), "people": float("Anna" in words)}
    return doc


def examples_of(nlp):
    return [Example(nlp.make_doc(text), gold_doc(nlp.vocab, text)) for text in SENTENCES]


def learn(nlp, *, steps, **settings):
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = 0.01
    fix_random_seed(steps)
    for _ in range(steps):
        nlp.update(examples_of(nlp), sgd=optimizer, drop=0.1, **settings)


def annotation_of(doc):
    """All that the heads write, with what they are sure of rounded."""
    groups = {
        key: ([(span.start, span.end, span.label_) for span in group], np.round(group.attrs["scores"], 4).tolist())
        for key, group in doc.spans.items()
    }
    numbers = {key: round(value, 3) for key, value in (doc._.numbers or {}).items()}
    cats = {key: round(value, 4) for key, value in doc.cats.items()}
    tokens = [[doc.vocab.strings[token.lemma], token.dep_, token.head.i, token.ent_type_] for token in doc]
    starts = doc.to_array([HEAD, SENT_START, ENT_IOB]).tolist()
    return groups, doc.spans["relations"].attrs["labels"], numbers, cats, tokens, starts


@pytest.fixture(scope="module")
def nlp():
    nlp = make_nlp(HEADS, listener=True, examples=examples_of)
    learn(nlp, steps=40)
    return nlp


@pytest.fixture(scope="module")
def expected(nlp):
    found = [annotation_of(nlp(text)) for text in SENTENCES]
    groups, labels, numbers, *_ = found[0]
    assert labels == ["met"]
    assert groups["roles"][0] == [(0, 1, "AGENT"), (2, 3, "PATIENT")]
    assert numbers["joy"] == pytest.approx(12.0, abs=6.0)
    return found


def test_four_threads_predict_at_once(nlp, expected):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [annotation_of(doc) for doc in nlp.pipe(SENTENCES, batch_size=4)], range(16)):
            assert found == expected


def test_two_processes(nlp, expected):
    assert [annotation_of(doc) for doc in nlp.pipe(SENTENCES * 2, n_process=2, batch_size=3)] == expected * 2


def test_reloaded(nlp, expected, tmp_path):
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert [annotation_of(loaded(text)) for text in SENTENCES] == expected


def test_a_reloaded_pipeline_goes_on_learning_alike(nlp, tmp_path):
    nlp.to_disk(tmp_path / "model")
    one, other = (spacy.load(tmp_path / "model") for _ in range(2))
    before = weights_of(one.get_pipe("multitask"))
    for pipeline in (one, other):
        learn(pipeline, steps=3)
    mine, theirs = (weights_of(pipeline.get_pipe("multitask")) for pipeline in (one, other))
    assert has_moved(before, mine)
    assert not has_moved(mine, theirs)


def test_sourced_and_frozen(nlp, expected):
    """A pipeline takes over the encoder and the heads; another component learns beside them, and they stay."""
    new = spacy.blank("en", vocab=nlp.vocab)
    for name in ("tok2vec", "multitask"):
        new.add_pipe(name, source=nlp)
    new.add_pipe("sentencizer", first=True)
    assert [annotation_of(new(text))[0] for text in SENTENCES] == [groups for groups, *_ in expected]
    before = weights_of(new.get_pipe("tok2vec"))
    learn(new, steps=2, exclude=["tok2vec"], annotates=["tok2vec"])
    assert not has_moved(before, weights_of(new.get_pipe("tok2vec")))
    heads_before = weights_of(new.get_pipe("multitask"))
    learn(new, steps=2, exclude=["multitask", "tok2vec"], annotates=["tok2vec"])
    assert not has_moved(heads_before, weights_of(new.get_pipe("multitask")))


def test_two_components_over_one_encoder():
    """Each has some of the heads, and all of them learn."""
    nlp = spacy.blank("en")
    fix_random_seed(0)
    nlp.add_pipe("tok2vec", config={"model": ENCODER})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
    first = ("ents", "relations", "spans", "mood")
    for name, keys in (("multitask", first), ("syntax", [key for key in HEADS if key not in first])):
        heads = {key: HEADS[key] for key in keys}
        nlp.add_pipe("multitask", name=name, config={"model": model, "heads": heads})
    # the classifier is in another component than the regressor, whose number is in cats too
    given = examples_of(nlp)
    for example in given:
        example.reference._.numbers = {"joy": example.reference.cats.pop("joy")}
    nlp.initialize(lambda: given)
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update(given, sgd=optimizer)
    scores = nlp.evaluate(given)
    for key in ("ents_f", "relations_f", "spans_f", "mood_pearson", "parser_las", "lemma_acc", "topics_macro_f"):
        assert scores[key] > 0.8, key
