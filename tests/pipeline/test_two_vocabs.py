"""Docs of two vocabs in one batch: the labels are added to both."""

import pytest
import spacy
from pipelines import heads_config, make_nlp, train
from spacy.tokens import Doc
from spacy.training import Example

HEADS = heads_config(
    intent={"kind": "DocClassifier"},
    slots={"kind": "EntityRecognizer"},
    spans={"kind": "EntityRecognizer", "spans_key": "sc"},
    tag={"kind": "Tagger"},
    morph={"kind": "Tagger", "attr": "morph"},
    pos={"kind": "Tagger", "attr": "pos"},
    sents={"kind": "Tagger", "attr": "sent_start"},
)
WORDS = ["play", "jazzy", "Berlin"]


def gold(vocab):
    doc = Doc(
        vocab,
        words=WORDS,
        tags=["TagA", "TagB", "TagB"],
        pos=["VERB", "ADJ", "NOUN"],
        morphs=["Mood=Oddone", "", "Number=Nosuch"],
        sent_starts=[True, False, True],
        ents=["O", "B-NEWTYPE", "I-NEWTYPE"],
    )
    doc.cats = {"one": 1.0, "two": 0.0}
    return doc


@pytest.fixture(scope="module")
def pipeline():
    nlp = spacy.blank("en")
    examples = [Example(Doc(nlp.vocab, words=WORDS), gold(nlp.vocab))]
    trained = make_nlp_of(nlp, examples)
    train(trained, examples)
    return trained


def make_nlp_of(nlp, examples):
    blank = make_nlp(heads_config(slots={"kind": "EntityRecognizer"}))
    config = blank.config["components"]["multitask"]
    nlp.add_pipe("multitask", config={"model": config["model"], "heads": HEADS})
    nlp.initialize(lambda: examples)
    return nlp


def vocabs(nlp):
    return [nlp.vocab, spacy.blank("en").vocab, spacy.blank("xx").vocab, nlp.vocab]


def test_each_doc_is_annotated_in_its_own_vocab(pipeline):
    docs = list(pipeline.pipe(Doc(vocab, words=WORDS) for vocab in vocabs(pipeline)))
    for doc in docs:
        assert [(ent.text, ent.label_) for ent in doc.ents] == [("jazzy Berlin", "NEWTYPE")]
        assert [span.label_ for span in doc.spans["sc"]] == ["NEWTYPE"]
        assert [token.tag_ for token in doc] == ["TagA", "TagB", "TagB"]
        assert [token.pos_ for token in doc] == ["VERB", "ADJ", "NOUN"]
        assert str(doc[0].morph) == "Mood=Oddone"
        assert doc.cats["one"] > 0.5
        assert len(list(doc.sents)) == 2
        assert Doc(doc.vocab).from_bytes(doc.to_bytes()).ents


def test_entities_that_one_doc_has_already_stay(pipeline):
    docs = [Doc(vocab, words=WORDS) for vocab in vocabs(pipeline)]
    docs[1].set_ents([docs[1].char_span(0, 4, label="SET")], default="missing")
    assert [(ent.text, ent.label_) for ent in list(pipeline.pipe(docs))[1].ents] == [
        ("play", "SET"),
        ("jazzy Berlin", "NEWTYPE"),
    ]


@pytest.mark.parametrize("same", [True, False], ids=["both docs in one vocab", "each in its own"])
def test_learns_from_and_scores_gold_of_several_vocabs(pipeline, same):
    examples = [Example(Doc(vocab if same else pipeline.vocab, words=WORDS), gold(vocab)) for vocab in vocabs(pipeline)]
    losses = pipeline.update(examples, sgd=False, losses={})
    one = pipeline.update(examples[:1], sgd=False, losses={})
    assert losses == pytest.approx(one, rel=1e-4)
    scores = pipeline.evaluate(examples)
    assert scores["multitask_score"] == scores["multitask_exact"] == 1.0
    assert scores["slots_f_per_type"].keys() == {"NEWTYPE"}


def test_labels_are_collected_from_gold_of_several_vocabs():
    nlp = spacy.blank("en")
    other = gold(spacy.blank("en").vocab)
    other.set_ents([other.char_span(0, 4, label="RARE")], default="outside")
    other[0].tag_ = "TagZ"
    nlp = make_nlp_of(
        nlp, [Example(Doc(nlp.vocab, words=WORDS), doc) for doc in (gold(nlp.vocab), other, gold(nlp.vocab))]
    )
    assert nlp.get_pipe("multitask").heads["slots"].labels == ("NEWTYPE", "RARE")
    assert "TagZ" in nlp.get_pipe("multitask").heads["tag"].labels


@pytest.mark.parametrize("attr", ["ents", "tag"])
def test_an_unknown_label_is_named_though_another_vocab_has_no_string_for_it(pipeline, attr):
    other = gold(spacy.blank("en").vocab)
    if attr == "ents":
        other.set_ents([other.char_span(0, 4, label="NEVERSEEN")])
    else:
        other[1].tag_ = "NEVERSEEN"
    examples = [Example(Doc(pipeline.vocab, words=WORDS), doc) for doc in (gold(pipeline.vocab), other)]
    with pytest.raises(ValueError, match="'NEVERSEEN' in doc 'play jazzy Berlin"):
        pipeline.update(examples, sgd=False)


def test_annotation_is_copied_to_another_vocab(pipeline):
    source = pipeline(Doc(pipeline.vocab, words=WORDS))
    for name, head in pipeline.get_pipe("multitask").heads.items():
        target = Doc(spacy.blank("xx").vocab, words=WORDS)
        head.copy_annotation(source, target)
        assert head.same_annotation(source, target) or name == "spans"
    target = Doc(spacy.blank("xx").vocab, words=WORDS)
    pipeline.get_pipe("multitask").heads["slots"].copy_annotation(source, target)
    assert [ent.label_ for ent in target.ents] == ["NEWTYPE"]
    pipeline.get_pipe("multitask").heads["tag"].copy_annotation(source, target)
    assert target[0].tag_ == "TagA"
    pipeline.get_pipe("multitask").heads["morph"].copy_annotation(source, target)
    assert str(target[0].morph) == "Mood=Oddone"
