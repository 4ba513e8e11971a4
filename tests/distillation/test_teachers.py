"""What teachers answer: every kind of pipe, other tokens than the student's, and teachers that do not fit."""

import re

import numpy as np
import pytest
import spacy
from pipelines import heads_config, make_nlp
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc, Span
from teachers import multitask_teacher, native_teacher, tagged_docs

from spacy_mtl.distillation.distil_settings import TeacherName
from spacy_mtl.distillation.doc_annotation import carry_over, copy_annotation, values_in
from spacy_mtl.distillation.label_fit import fit_labels
from spacy_mtl.distillation.teacher_pipeline import Teacher
from spacy_mtl.gold import unannotated
from spacy_mtl.readers.target_shard import TargetForm

HEADS = heads_config(
    intent={"kind": "DocClassifier"},
    several={"kind": "DocClassifier", "exclusive": False, "label_prefix": "x"},
    slots={"kind": "EntityRecognizer"},
    tag={"kind": "Tagger"},
    pos={"kind": "Tagger", "attr": "pos"},
    morph={"kind": "Tagger", "attr": "morph"},
    sents={"kind": "Tagger", "attr": "sent_start"},
    lemma={"kind": "Lemmatizer"},
)


@pytest.fixture(scope="module")
def student():
    nlp = spacy.blank("xx")
    nlp.add_pipe("multitask", config={"heads": HEADS})
    return nlp


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    path = tmp_path_factory.mktemp("native") / "model"
    pipes = ("textcat", "textcat_multilabel", "ner", "tagger", "morphologizer", "senter")
    native_teacher(*pipes, listener=True, steps=12).to_disk(path)
    return path


def teacher_of(path, student, *names, temperature=1.0, top=99):
    heads = student.get_pipe("multitask").heads
    chosen = [TeacherName.parse(name.replace("PATH", str(path))) for name in names]
    return Teacher(str(path), chosen, heads, temperature=temperature, top=top)


def fails(*parts):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


def spans_of(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def raw_docs(nlp, n_docs=8):
    return [unannotated(doc, nlp.vocab) for doc in tagged_docs(n_docs, 9)]


def test_native_pipes_answer_what_they_predict(native, student):
    names = ["intent=PATH:textcat", "several=PATH:textcat_multilabel", "slots=PATH", "tag=PATH", "pos=PATH"]
    teacher = teacher_of(native, student, *names, "morph=PATH", "sents=PATH:senter")
    docs = raw_docs(student)
    answers, dropped = teacher.answer(docs, student)
    nlp = spacy.load(native)
    annotated = list(nlp.pipe([unannotated(doc, nlp.vocab) for doc in docs]))
    assert not any(dropped.values())
    for row, doc in enumerate(annotated):
        found = {head: one.docs[row] for head, one in answers.items()}
        assert [token.tag_ for token in found["tag"]] == [token.tag_ for token in doc]
        assert [token.pos_ for token in found["pos"]] == [token.pos_ for token in doc]
        assert values_in(found["morph"], "morph") == values_in(doc, "morph")
        assert [token.is_sent_start for token in found["sents"]] == [token.is_sent_start for token in doc]
        assert spans_of(found["slots"]) == spans_of(doc)
        # Each copy carries the annotation of its head and no other.
        assert not found["tag"].has_annotation("POS")
        assert not found["tag"].cats
        assert not found["pos"].has_annotation("TAG")
        assert not found["intent"].has_annotation("ENT_IOB")


def test_probabilities_of_native_pipes(native, student):
    teacher = teacher_of(native, student, "intent=PATH:textcat", "slots=PATH", "tag=PATH", "pos=PATH")
    docs = raw_docs(student)
    answers, _ = teacher.answer(docs, student)
    nlp = spacy.load(native)
    annotated = [nlp(unannotated(doc, nlp.vocab)) for doc in docs]
    cats = nlp.get_pipe("textcat").predict(list(annotated))
    intent = answers["intent"]
    shares = np.exp([target.values[0] for target in intent.targets])
    np.testing.assert_allclose(shares, cats, atol=1e-5)
    np.testing.assert_allclose(intent.confidences, cats.max(axis=1), atol=1e-5)
    assert all(set(doc.cats.values()) == {0.0, 1.0} for doc in intent.docs)
    for head in ("tag", "pos"):
        form = teacher.forms[head]
        for doc, target in zip(answers[head].docs, answers[head].targets, strict=True):
            np.testing.assert_allclose(target.values.sum(axis=1), 1.0, atol=1e-5)
            best = target.columns[np.arange(len(doc)), target.values.argmax(axis=1)]
            assert [form.labels[column] for column in best] == [getattr(token, f"{head}_") for token in doc]
    assert set(teacher.forms["pos"].labels) == {"VERB", "ADP", "NOUN"}
    assert teacher.forms["slots"] is None
    assert np.isnan(answers["slots"].confidences).all()
    assert answers["slots"].targets == [None] * len(docs)


def test_a_temperature_makes_targets_flatter(native, student):
    docs = raw_docs(student)
    sharp, flat = (
        teacher_of(native, student, "tag=PATH", temperature=t).answer(docs, student)[0]["tag"] for t in (1.0, 4.0)
    )
    assert all(one.values.max() > other.values.max() for one, other in zip(sharp.targets, flat.targets, strict=True))
    np.testing.assert_allclose(sharp.confidences, flat.confidences)


def test_heads_of_a_multitask_component_teach_in_one_pass(tmp_path, student):
    multitask_teacher().to_disk(tmp_path / "t")
    teacher = teacher_of(tmp_path / "t", student, "intent=PATH", "slots=PATH:slots")
    docs = raw_docs(student)
    answers, _ = teacher.answer(docs, student)
    nlp = spacy.load(tmp_path / "t")
    annotated = list(nlp.pipe([unannotated(doc, nlp.vocab) for doc in docs]))
    sure = nlp.get_pipe("multitask").confidences(annotated)
    for row, doc in enumerate(annotated):
        best = max(doc.cats, key=doc.cats.get)
        assert answers["intent"].docs[row].cats == {key: float(key == best) for key in doc.cats}
        assert spans_of(answers["slots"].docs[row]) == spans_of(doc)
    for head in ("intent", "slots"):
        np.testing.assert_allclose(answers[head].confidences, sure[head], atol=1e-6)
    chain = answers["slots"].targets[0]
    assert chain.kind == "chain"
    np.testing.assert_allclose(chain.values.sum(axis=1), 1.0, atol=1e-5)
    assert chain.counts.sum() == pytest.approx(len(docs[0]) - 1, abs=0.05)
    assert len(teacher.sources) == 1


def test_other_tokens_are_aligned_and_losses_counted(tmp_path, student):
    """The teacher splits at white space alone, the student at punctuation, too."""
    nlp = native_teacher("ner", "tagger", "textcat", steps=12)
    nlp.tokenizer = Tokenizer(nlp.vocab)
    nlp.to_disk(tmp_path / "t")
    teacher = teacher_of(tmp_path / "t", student, "tag=PATH", "slots=PATH", "intent=PATH")
    docs = [student.make_doc("play jazz, Anna."), student.make_doc("who is Anna")]
    assert [token.text for token in docs[0]] == ["play", "jazz", ",", "Anna", "."]
    answers, dropped = teacher.answer(docs, student)
    own = [nlp(doc.text) for doc in docs]
    tags = [token.tag_ for token in answers["tag"].docs[0]]
    assert tags == [own[0][0].tag_, "", "", "", ""]
    assert dropped["tag"] == 2
    assert [token.tag_ for token in answers["tag"].docs[1]] == [token.tag_ for token in own[1]]
    target = answers["tag"].targets[0]
    assert target.values.shape[0] == 5
    assert (target.values.sum(axis=1) > 0).tolist() == [True, False, False, False, False]
    assert answers["intent"].targets[0] is not None
    assert [token.text for token in answers["slots"].docs[0]] == [token.text for token in docs[0]]


def test_entities_at_other_tokens():
    vocab = spacy.blank("xx").vocab
    source = Doc(vocab, words=["a", "New", "York", "er", "in", "Rome"], spaces=[True, True, False, True, True, False])
    source.ents = [Span(source, 1, 3, "city"), Span(source, 5, 6, "city")]
    target = Doc(vocab, words=["a", "New", "Yorker", "in", "Ro", "me"], spaces=[True, True, True, True, False, False])
    assert carry_over(source, target) == 1
    assert [(ent.text, ent.label_) for ent in target.ents] == [("Rome", "city")]
    assert [token.ent_iob_ for token in target] == ["O", "", "", "O", "B", "I"]


def test_gold_tokens_are_given_to_the_teacher(native, student):
    doc = Doc(student.vocab, words=["play", "jazz,", "Anna"], spaces=[True, True, False])
    answers, dropped = teacher_of(native, student, "tag=PATH").answer([doc], student)
    assert [token.text for token in answers["tag"].docs[0]] == ["play", "jazz,", "Anna"]
    assert dropped == {"tag": 0}


def test_annotation_is_copied_between_vocabs():
    doc = tagged_docs(1, 3)[0]
    copy = unannotated(doc, spacy.blank("en").vocab)
    copy_annotation(doc, copy)
    for attr in ("tag_", "pos_", "ent_type_", "ent_iob_", "is_sent_start"):
        assert [getattr(token, attr) for token in copy] == [getattr(token, attr) for token in doc]
    assert values_in(copy, "morph") == values_in(doc, "morph")
    assert copy.cats == doc.cats


def test_teachers_that_do_not_fit(native, student, tmp_path):
    with fails("no head 'lemma' and no pipe that gives ['token.lemma']", "its pipes", "tagger"):
        teacher_of(native, student, "lemma=PATH")
    with fails("no head or pipe 'tagger' that gives ['doc.cats']", "its pipes"):
        teacher_of(native, student, "intent=PATH:tagger")
    with fails("--teacher intent=", "Can't find model"):
        teacher_of(tmp_path / "nothing", student, "intent=PATH")
    multitask_teacher(steps=1).to_disk(tmp_path / "t")
    with fails("the teacher's head 'intent' (DocClassifier) gives ['doc.cats']", "'tag'", "['token.tag']"):
        teacher_of(tmp_path / "t", student, "tag=PATH:intent")


def test_labels_that_do_not_fit():
    head = make_nlp(heads_config(intent={"kind": "DocClassifier"})).get_pipe("multitask").heads["intent"]
    with fails("head 'intent'", "['a', 'b']", "['ask', 'play']"):
        fit_labels(head, TargetForm("exclusive", ("a", "b"), 1.0), [], fixed=False)
    with fails("head 'intent'", "['ask', 'new', 'play']", "['ask', 'play']"):
        fit_labels(head, TargetForm("exclusive", ("play", "new", "ask"), 1.0), [], fixed=True)
    with fails("'independent'", "'exclusive'", "['ask', 'play']"):
        fit_labels(head, TargetForm("independent", ("ask", "play"), 1.0), [], fixed=False)
    assert fit_labels(head, TargetForm("exclusive", ("play", "new"), 1.0), [], fixed=False) == ["ask"]
    assert head.labels == ("ask", "play", "new")


def test_a_teacher_of_another_tag_scheme_is_refused():
    heads = heads_config(slots={"kind": "EntityRecognizer", "scheme": "BILUO"})
    head = make_nlp(heads).get_pipe("multitask").heads["slots"]
    biluo = head.target_columns
    bio = tuple(tag for tag in biluo if tag[0] in "OBI")
    fit_labels(head, TargetForm("chain", biluo, 1.0), [], fixed=False)
    with fails("head 'slots'", "scheme"):
        fit_labels(head, TargetForm("chain", bio, 1.0), [], fixed=False)


@pytest.mark.parametrize(
    ("option", "expected"),
    [("a=b", ("a", "b", "")), ("a=b/c:d", ("a", "b/c", "d")), ("a=./x:y=z", ("a", "./x", "y=z"))],
)
def test_the_name_of_a_teacher(option, expected):
    name = TeacherName.parse(option)
    assert (name.head, name.path, name.source) == expected


@pytest.mark.parametrize("option", ["a", "=b", "a="])
def test_a_malformed_name(option):
    with fails(f"--teacher {option}: expected HEAD=PATH"):
        TeacherName.parse(option)
