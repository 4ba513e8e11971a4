"""All heads on made docs in which one word decides everything: each head's explanation names that word."""

import numpy as np
import pytest
from pipelines import ENCODER, heads_config, make_nlp, train
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

import spacy_mtl
from spacy_mtl.relation import Relation, set_relations

CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}
HEADS = heads_config(
    mood={"kind": "DocClassifier"},
    rating={"kind": "Regressor", "numbers": ["stars"]},
    entities={"kind": "EntityRecognizer"},
    pos={"kind": "Tagger", "attr": "pos"},
    senses={"kind": "SpanClassifier"},
    tree={"kind": "DependencyParser", "arc_width": 16, "label_width": 8},
    ties={"kind": "RelationExtractor", "depends_on": "entities", "width": 16, "exclusive": True},
    lemma={"kind": "Lemmatizer", "min_tree_freq": 1},
)
CUES = ("gladly", "rarely", "soon")
CUE = 1
# head, and its target under each cue
TARGETS = {
    "mood": ("glad", "sad", "calm"),
    "pos": ("VERB[2]", "NOUN[2]", "AUX[2]"),
    "senses": ("SEE[2:3]", "CUT[2:3]", "MEET[2:3]"),
    "tree": ("obj[3:2]", "obl[3:2]", "iobj[3:2]"),
    "ties": ("likes[0:1:3:4]", "fears[0:1:3:4]", "knows[0:1:3:4]"),
    "lemma": ("saw → see[2]", "saw → saw[2]", "saw → sow[2]"),
}


def make_doc(nlp, person, place, cue):
    """Gold of all heads. The second word decides it, but for the names, their entities, and the heads of the tree."""
    doc = Doc(nlp.vocab, words=[person, CUES[cue], "saw", place])
    label = {head: names[cue].split("[")[0] for head, names in TARGETS.items()}
    doc.cats = {name: float(name == label["mood"]) for name in TARGETS["mood"]}
    doc._.numbers = {"stars": (5.0, 1.0, 3.0)[cue]}
    doc.ents = [Span(doc, 0, 1, label="PER"), Span(doc, 3, 4, label="LOC")]
    for token, pos in zip(doc, ("PROPN", "ADV", label["pos"], "PROPN"), strict=True):
        token.pos_, token.head, token.lemma_ = pos, doc[2], token.lower_
        token.dep_ = "ROOT" if token.i == 2 else "mod"
    doc[2].lemma_ = label["lemma"].split()[-1]
    doc[3].dep_ = label["tree"]
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[Span(doc, 2, 3, label=label["senses"])])
    set_relations(doc, [Relation(*doc.ents, label["ties"], 1.0)], with_scores=False)
    return Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc)


def make_docs(nlp):
    return [
        make_doc(nlp, person, place, cue)
        for person in ("Anna", "Otto", "Lena", "Hugo")
        for place in ("Berlin", "Paris", "Rome", "Oslo")
        for cue in range(3)
    ]


@pytest.fixture(scope="module")
def nlp():
    nlp = make_nlp(HEADS, tok2vec=CNN, examples=make_docs)
    train(nlp, make_docs(nlp), steps=80)
    return nlp


def explain(nlp, cue, **settings):
    """The scores of the tokens of a sentence with this cue, and the target's value."""
    found = spacy_mtl.explain(nlp, Doc(nlp.vocab, words=["Anna", CUES[cue], "saw", "Berlin"]), **settings)
    return np.array(found.scores), found.value


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("head", list(TARGETS))
def test_the_word_that_decides_speaks_for_its_target(nlp, head, method):
    """In sentences that differ in the cue alone, a target's scores differ most at the cue. Its neighbours may share the
    credit, since they are read together with it.
    """
    differences = []
    for cue, target in enumerate(TARGETS[head]):
        scores, value = explain(nlp, cue, head=head, target=target, method=method)
        others = [explain(nlp, other, head=head, target=target, method=method) for other in range(3) if other != cue]
        assert value > 0 > max(low for _, low in others)
        differences += [scores - low for low, _ in others]
    mean = np.mean(differences, axis=0)
    assert mean[CUE] > 0.8 * mean.max() > 0


def test_the_word_that_decides_a_number(nlp):
    """Occlusion names the word. Integrated gradients divide the difference among it and its neighbours."""
    (high, best), (low, worst) = (explain(nlp, cue, head="rating", method="occlusion") for cue in range(2))
    assert (best, worst) == (pytest.approx(5.0, abs=0.5), pytest.approx(1.0, abs=0.5))
    assert np.argmax(high - low) == CUE
    (high, _), (low, _) = (explain(nlp, cue, head="rating", method="integrated_gradients") for cue in range(2))
    assert (high - low).sum() == pytest.approx(best - worst, abs=0.1)


def test_targets_are_named_as_documented(nlp):
    doc = Doc(nlp.vocab, words=["Anna", "gladly", "saw", "Berlin"])
    found = spacy_mtl.explain_targets(nlp, doc)
    assert found["ties"] == ["likes[0:1:3:4]"]
    assert found["tree"] == ["mod[0:2]", "mod[1:2]", "ROOT[2:2]", "obj[3:2]"]
    assert found["senses"] == ["SEE[2:3]"]
    assert found["rating"] == ["stars"]
    # an edit tree goes by the form and the lemma that it was first seen with; other pairs of it are understood too
    assert found["lemma"][2] == "saw → see[2]"
    identity = found["lemma"][0]
    same = [spacy_mtl.explain(nlp, doc, head="lemma", target=name) for name in (identity, "otto → otto[0]")]
    assert same[0] == same[1]
