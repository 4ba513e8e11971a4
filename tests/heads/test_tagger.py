"""The tagger writes what spaCy's tagger, morphologizer and senter write, and learns from what is set."""

import math

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config, train
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.gold import token_values
from spacy_mtl.heads.tagger import ATTR_IDS, make_tagger_v1

WORDS = ["She", "sings", ".", "He", "slept", "."]
VALUES = {
    "tag": ["PRP", "VBZ", ".", "PRP", "VBD", "."],
    "pos": ["PRON", "VERB", "PUNCT", "PRON", "VERB", "PUNCT"],
    "morph": ["Gender=Fem|Number=Sing", "Tense=Pres", "", "Gender=Masc|Number=Sing", "Tense=Past", ""],
    "sent_start": [1, -1, -1, 1, -1, -1],
}
FIELDS = {"tag": "tags", "pos": "pos", "morph": "morphs", "sent_start": "sent_starts"}


def gold_doc(nlp, attr):
    return Doc(nlp.vocab, words=WORDS, **{FIELDS[attr]: VALUES[attr]})


def make(attr, **settings):
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    heads = heads_config(head={"kind": "Tagger", "attr": attr, **settings})
    nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    gold = [Example(Doc(nlp.vocab, words=WORDS), gold_doc(nlp, attr))]
    nlp.initialize(lambda: gold)
    return nlp, gold


@pytest.mark.parametrize("attr", list(VALUES))
def test_learns_writes_and_survives_reloading(attr, tmp_path):
    nlp, gold = make(attr)
    train(nlp, gold, steps=60)
    nlp.to_disk(tmp_path)
    expected = gold_doc(nlp, attr)
    for pipeline in (nlp, spacy.load(tmp_path)):
        doc = pipeline(Doc(pipeline.vocab, words=WORDS))
        assert np.array_equal(doc.to_array(attr.upper()), expected.to_array(attr.upper()))
        assert doc.has_annotation("SENT_START" if attr == "sent_start" else attr.upper())
    if attr == "sent_start":
        assert [sent.text for sent in doc.sents] == ["She sings .", "He slept ."]
    if attr == "morph":
        assert doc[0].morph.get("Gender") == ["Fem"]


@pytest.mark.parametrize("attr", list(VALUES))
@pytest.mark.parametrize("overwrite", [True, False])
def test_values_that_are_set_already(attr, overwrite):
    nlp, gold = make(attr, overwrite=overwrite)
    train(nlp, gold, steps=60)
    preset = {"tag": "XX", "pos": "X", "morph": "Foreign=Yes", "sent_start": True}[attr]
    doc = Doc(nlp.vocab, words=WORDS)
    if attr == "morph":
        doc[1].set_morph(preset)
    else:
        setattr(doc[1], {"tag": "tag_", "pos": "pos_", "sent_start": "is_sent_start"}[attr], preset)
    before = doc.to_array(attr.upper())[1]
    learned = gold_doc(nlp, attr).to_array(attr.upper())[1]
    assert nlp(doc).to_array(attr.upper())[1] == (learned if overwrite else before)


def test_loss_with_label_smoothing_equals_the_formula():
    _nlp, gold = make("tag")
    head = make_tagger_v1(label_smoothing=0.1)
    for label in sorted(set(VALUES["tag"])):
        head.add_label(label)
    gold[0].reference[2].tag_ = ""
    scores = np.random.default_rng(0).normal(size=(6, 4)).astype("f")
    loss, gradient = head.get_loss(gold, scores)
    expected = 0.0
    for row, tag in zip(scores, VALUES["tag"], strict=True):
        log_p = row - math.log(np.exp(row).sum())
        target = np.full(4, 0.1 / 3)
        target[head.labels.index(tag)] = 0.9
        expected -= float(target @ log_p)
    dropped = scores[2] - math.log(np.exp(scores[2]).sum())
    target = np.full(4, 0.1 / 3)
    target[head.labels.index(".")] = 0.9
    expected += float(target @ dropped)
    assert loss == pytest.approx(expected / 6, rel=1e-5)
    assert not gradient[2].any()


def test_scores_agree_with_spacys_own():
    from spacy.pipeline.morphologizer import morphologizer_score
    from spacy.pipeline.senter import senter_score
    from spacy.pipeline.tagger import tagger_score

    for attr, scorer in (("tag", tagger_score), ("morph", morphologizer_score), ("sent_start", senter_score)):
        nlp, gold = make(attr)
        ours = nlp.evaluate(gold)
        gold[0].predicted = nlp(gold[0].predicted)
        theirs = scorer(gold)
        shared = [key for key in theirs if key in ours]
        assert shared
        assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}


def test_tokens_that_do_not_align_are_not_annotated():
    nlp, _ = make("tag")
    reference = Doc(nlp.vocab, words=["She", "singsnow"], tags=["PRP", "VBZ"])
    predicted = Doc(nlp.vocab, words=["She", "sings", "now"], spaces=[True, False, False])
    merged = Doc(nlp.vocab, words=["Shesings"])
    split = Doc(nlp.vocab, words=["She", "sings"], spaces=[False, False], tags=["PRP", "VBZ"])
    head = nlp.get_pipe("multitask").heads["head"]
    zeros = np.zeros((3, len(head.labels)), dtype="f")
    _, gradient = head.get_loss([Example(predicted, reference)], zeros)
    assert gradient[0].any()
    assert head.get_loss([Example(merged, split)], zeros[:1]) == (0.0, None)


@pytest.mark.parametrize("attr", list(VALUES))
def test_aligned_values_keep_all_their_bits(attr):
    """Values are 64-bit hashes, which a float would round."""
    nlp = spacy.blank("en")
    reference = gold_doc(nlp, attr)
    split = Doc(nlp.vocab, words=["She", "si", "ngs", ".", "He", "slept", "."], spaces=[True, False, *[True] * 5])
    values = token_values(Example(split, reference), attr.upper(), ATTR_IDS[attr])
    gold = reference.to_array(attr.upper())
    assert values[[0, 3, 4, 5, 6]].tolist() == gold[[0, 2, 3, 4, 5]].tolist()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([True, False, False, True, False, False], "SIISII"),
        ([1, 0, 0, 1, 0, 0], "SIISII"),
        ([1, None, None, True, None, None], "SIISII"),
        ([1, 0, -1, 1, 0, 0], "SIISII"),
        ([0, 0, 0, 1, 0, 0], "SIISII"),
        ([1, -1, -1, -1, -1, -1], "SIIIII"),
        ([1, 0, 0, 0, 0, 0], None),
        ([0] * 6, None),
        ([None] * 6, None),
    ],
)
@pytest.mark.parametrize("pieces", [WORDS, [*WORDS[:4], "sl", "ept", "."]])
def test_tokens_not_marked_as_a_start_are_none_as_spacys_senter_reads_them(given, expected, pieces):
    nlp = spacy.blank("en")
    spaces = [word != "sl" for word in pieces]
    eg = Example(Doc(nlp.vocab, words=pieces, spaces=spaces), Doc(nlp.vocab, words=WORDS, sent_starts=list(given)))
    values = token_values(eg, "SENT_START", ATTR_IDS["sent_start"]).astype("int64").tolist()
    gold = [{"S": 1, "I": -1}[letter] for letter in expected] if expected else [0] * 6
    if len(pieces) > len(WORDS):
        gold[4:5] = [gold[4]] * 2
    assert values == gold


def test_learns_sentences_given_as_ones_and_zeros():
    """The gold of spaCy's own test of its senter."""
    starts = [1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    texts = (
        "I like green eggs. Eat blue ham. I like purple eggs.",
        "She likes purple eggs. They hate ham. You like yellow eggs.",
    )
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe(
        "multitask", config={"model": model, "heads": heads_config(sents={"kind": "Tagger", "attr": "sent_start"})}
    )
    gold = [Example.from_dict(nlp.make_doc(text), {"sent_starts": list(starts)}) for text in texts]
    gold[0].reference[10].is_sent_start = False
    nlp.initialize(lambda: gold)
    train(nlp, gold, steps=60)
    assert [int(token.is_sent_start) for token in nlp(texts[0])] == starts
    scores = nlp.evaluate(gold)
    assert scores["sents_f"] == scores["sents_acc"] == scores["multitask_exact"] == 1.0


def test_accuracy_of_sentence_starts_counts_the_tokens_that_start_none():
    nlp, gold = make("sent_start")
    gold[0].predicted = Doc(nlp.vocab, words=WORDS, sent_starts=[True] * 6)
    assert nlp.get_pipe("multitask").heads["head"].score(gold)["acc"] == pytest.approx(2 / 6)
