"""The lemmatizer writes what spaCy's trainable_lemmatizer writes, and learns from what is set."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config, train
from spacy.pipeline.lemmatizer import lemmatizer_score
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import fix_random_seed

from spacy_mtl.heads.lemmatizer.edit_tree_labels import EditTreeLabels, find_labels
from spacy_mtl.heads.lemmatizer.lemmatizer import make_lemmatizer_v1
from spacy_mtl.readers.label_map import with_labels

WORDS = "Cats were chasing dogs and Mice ran . He walked while she was walking".split()
LEMMAS = "cat be chase dog and mouse run . he walk while she be walk".split()


def gold_doc(nlp, lemmas=None):
    return Doc(nlp.vocab, words=WORDS, lemmas=lemmas or LEMMAS)


def blank(doc, vocab=None):
    return Doc(vocab or doc.vocab, words=[token.text for token in doc])


def make(*, steps=0, lemmas=None, **settings):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    heads = heads_config(lemma={"kind": "Lemmatizer", "min_tree_freq": 1, **settings})
    nlp.add_pipe(
        "multitask",
        config={"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}, "heads": heads},
    )
    gold = gold_doc(nlp, lemmas)
    examples = [Example(blank(gold), gold)]
    nlp.initialize(lambda: examples)
    if steps:
        train(nlp, examples, steps=steps)
    return nlp, examples


def head_of(nlp):
    return nlp.get_pipe("multitask").heads["lemma"]


@pytest.mark.parametrize("ignore_case", [True, False])
def test_learns_writes_and_survives_reloading(ignore_case, tmp_path):
    nlp, (eg,) = make(steps=80, ignore_case=ignore_case)
    nlp.to_disk(tmp_path)
    for pipeline in (nlp, spacy.load(tmp_path)):
        doc = pipeline(blank(eg.reference, pipeline.vocab))
        assert [token.lemma_ for token in doc] == LEMMAS
        assert doc.has_annotation("LEMMA")
    assert spacy.load(tmp_path).get_pipe("multitask").label_data == nlp.get_pipe("multitask").label_data


def test_scores_agree_with_spacys_own():
    nlp, examples = make(steps=3)
    ours = nlp.evaluate(examples)
    examples[0].predicted = nlp(examples[0].predicted)
    theirs = lemmatizer_score(examples)
    assert 0 < theirs["lemma_acc"] < 1
    assert ours["lemma_acc"] == theirs["lemma_acc"]


def test_labels_are_spacys_trees_without_case():
    nlp, (eg,) = make(ignore_case=False)
    native = spacy.blank("en").add_pipe("trainable_lemmatizer", config={"min_tree_freq": 1})
    native.initialize(lambda: [eg])
    assert len(native.labels) == len(head_of(nlp).labels)


def test_lower_case_is_one_tree():
    trees = EditTreeLabels(["was → be", "Berlin → Berlin"], ignore_case=True)
    assert [trees.index(form, "be") for form in ("was", "Was", "WAS", "were")] == [0, 0, 0, -1]
    assert trees.index("Paris", "Paris") == 1
    assert trees.index("paris", "paris") == -1
    assert [trees.apply(0, form) for form in ("WAS", "were")] == ["be", None]
    assert trees.apply(1, "Paris") == "Paris"
    pairs = [("Was", "be"), ("was", "be"), ("dogs", "dog"), ("Cats", "cat"), ("cats", "cat"), ("Rome", "Rome")]
    assert find_labels(pairs, ignore_case=True, min_freq=2) == ["cats → cat", "was → be"]
    assert find_labels(pairs, ignore_case=False, min_freq=2) == ["cats → cat"]


def test_rare_trees_are_no_labels_and_not_learned():
    nlp, (eg,) = make(min_tree_freq=2)
    head = head_of(nlp)
    assert "mice → mouse" not in head.labels
    scores = np.random.default_rng(0).normal(size=(len(WORDS), len(head.labels))).astype("f")
    _, gradient = head.get_loss([eg], scores)
    known = [head._trees.index(word, lemma) >= 0 for word, lemma in zip(WORDS, LEMMAS, strict=True)]
    assert not known[5]
    assert gradient.any(axis=1).tolist() == known


def test_missing_lemmas_have_exactly_no_gradient():
    nlp, (eg,) = make()
    lemmas = [lemma if place % 3 else "" for place, lemma in enumerate(LEMMAS)]
    partial = Example(eg.predicted, gold_doc(nlp, lemmas))
    head = head_of(nlp)
    scores = np.random.default_rng(0).normal(size=(len(WORDS), len(head.labels))).astype("f")
    loss, gradient = head.get_loss([partial], scores)
    assert gradient.any(axis=1).tolist() == [bool(lemma) for lemma in lemmas]
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    index = [head._trees.index(word, lemma) for word, lemma in zip(WORDS, lemmas, strict=True)]
    expected = -sum(logs[place, label] for place, label in enumerate(index) if lemmas[place]) / len(WORDS)
    assert loss == pytest.approx(expected, rel=1e-5)
    unaligned = Example(
        Doc(nlp.vocab, words=["Catswere"]), Doc(nlp.vocab, words=WORDS[:2], spaces=[0, 0], lemmas=LEMMAS[:2])
    )
    assert head.get_loss([unaligned], scores[:1]) == (0.0, None)


def fixed(nlp, *order, top_k):
    """Lemmas of "mice" and "was" if trees are likely in this order."""
    head = head_of(nlp)
    head.top_k = top_k
    scores = np.zeros((2, len(head.labels)), dtype="f")
    for place, label in enumerate(order):
        scores[:, head.labels.index(label)] = 9 - place
    doc = Doc(nlp.vocab, words=["Mice", "was"])
    head.set_annotations([doc], head.decode([doc], scores))
    return [token.lemma_ for token in doc]


def test_the_likeliest_tree_that_fits_is_applied_else_the_form_is_the_lemma():
    nlp, _ = make()
    order = "mice → mouse", "was → be", ". → ."
    assert fixed(nlp, *order, top_k=1) == ["mouse", "was"]
    assert fixed(nlp, *order, top_k=2) == ["mouse", "be"]
    assert fixed(nlp, "were → be", *order, top_k=2) == ["mouse", "was"]
    assert fixed(nlp, "were → be", *order, top_k=50) == ["mouse", "be"]
    head_of(nlp).backoff = "lower"
    assert fixed(nlp, "were → be", top_k=1) == ["mice", "was"]
    head_of(nlp).backoff = None
    assert fixed(nlp, "mice → mouse", top_k=1) == ["mouse", ""]


@pytest.mark.parametrize("overwrite", [True, False])
def test_lemmas_that_are_set_already(overwrite):
    nlp, (eg,) = make(steps=60, overwrite=overwrite)
    doc = blank(eg.reference)
    doc[1].lemma_ = "preset"
    assert [token.lemma_ for token in nlp(doc)][:3] == ["cat", "be" if overwrite else "preset", "chase"]


def test_labels_that_are_given_or_added():
    nlp, (eg,) = make()
    head = head_of(nlp)
    labels = list(head.labels)
    assert head.add_label("rats → rat") == 0  # the tree of "dogs → dog"
    assert head.add_label("oxen → ox") == 1
    assert head.labels == (*labels, "oxen → ox")
    nlp.update([eg], sgd=nlp.create_optimizer())
    with pytest.raises(ValueError, match="head 'lemma': 'oxen' is no pair of form and lemma, such as 'was → be'"):
        head.add_label("oxen")
    other = spacy.blank("en").add_pipe("multitask", config={"heads": heads_config(lemma={"kind": "Lemmatizer"})})
    other.initialize(lambda: [eg], labels={"lemma": labels})
    assert list(other.heads["lemma"].labels) == labels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"min_tree_freq": 0}, "min_tree_freq is 0; it must be at least 1"),
        ({"backoff": "tag"}, "backoff is 'tag'; use one of"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=f"Lemmatizer: {message}"):
        make_lemmatizer_v1(**settings)


def test_other_vocabs_and_two_processes():
    nlp, (eg,) = make(steps=60)
    docs = [blank(eg.reference) for _ in range(6)]
    assert all([t.lemma_ for t in doc] == LEMMAS for doc in nlp.pipe(docs, n_process=2, batch_size=2))
    doc = blank(eg.reference, Vocab())
    pipe = nlp.get_pipe("multitask")
    pipe.set_annotations([doc], pipe.predict([doc]))
    assert [token.lemma_ for token in doc] == LEMMAS
    copy = blank(doc, Vocab())
    head_of(nlp).copy_annotation(doc, copy)
    assert [token.lemma_ for token in copy] == LEMMAS
    assert head_of(nlp).same_annotation(doc, copy)


def test_decisions_show_trees():
    nlp, (eg,) = make()
    head = head_of(nlp)
    found = Doc(nlp.vocab, words=WORDS, lemmas=["cat", "were", *LEMMAS[2:]])
    decisions = head.decisions([Example(found, eg.reference)])
    wrong = decisions.gold != decisions.predicted
    assert [decisions.names[gold] for gold in decisions.gold[wrong]] == ["were → be"]
    assert [decisions.names[place] for place in decisions.predicted[wrong]] == [". → ."]


def test_a_label_map_leaves_lemmas_alone():
    """They are words of the language, not names that a corpus chooses."""
    nlp = spacy.blank("en")
    head = nlp.add_pipe("multitask", config={"heads": heads_config(lemma={"kind": "Lemmatizer"})}).heads["lemma"]
    doc = Doc(nlp.vocab, words=["was"], lemmas=["be"])
    assert with_labels(doc, {"be": "have", "was → be": None}, [head])[0].lemma_ == "be"
