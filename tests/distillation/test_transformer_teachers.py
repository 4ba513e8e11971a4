"""A teacher over a transformer: a multitask component, over its own encoder or a listener; and the mean of two."""

import numpy as np
import pytest
import spacy
from pipelines import JOINT
from tiny_transformers import transformer_pipeline, write_bert

pytest.importorskip("torch")
pytest.importorskip("transformers")

from spacy_mtl.averaging.soup import average
from spacy_mtl.distillation.distil_settings import TeacherName
from spacy_mtl.distillation.teacher_pipeline import Teacher

TEXTS = ["play some jazz in berlin", "who is anna schmidt", "wake me at seven"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer_teaches(bert, tmp_path, listener):
    transformer_pipeline(bert, listener=listener).to_disk(tmp_path / "t")
    student = spacy.blank("en")
    student.add_pipe("multitask", config={"heads": JOINT})
    names = [TeacherName(head, str(tmp_path / "t")) for head in JOINT]
    teacher = Teacher(str(tmp_path / "t"), names, student.get_pipe("multitask").heads, temperature=1.0, top=99)
    docs = [student.make_doc(text) for text in TEXTS]
    answers, _ = teacher.answer(docs, student)
    nlp = spacy.load(tmp_path / "t")
    annotated = list(nlp.pipe(TEXTS))
    for doc, target, answer in zip(annotated, answers["intent"].targets, answers["slots"].docs, strict=True):
        shares = np.exp(target.values[0] - target.values[0].max())
        np.testing.assert_allclose(shares / shares.sum(), [doc.cats[key] for key in target.labels], atol=1e-5)
        assert [(ent.start, ent.end, ent.label_) for ent in answer.ents] == [
            (ent.start, ent.end, ent.label_) for ent in doc.ents
        ]


def test_the_mean_of_transformers(bert, tmp_path):
    nlp = transformer_pipeline(bert, listener=False)
    nlp.to_disk(tmp_path / "a")
    shim = next(shim for node in nlp.get_pipe("multitask").model.walk() for shim in node.shims)
    weight = next(param for param in shim._model.parameters() if param.dim() == 2)
    old = weight.detach().numpy().copy()
    weight.data += 1.0
    nlp.to_disk(tmp_path / "b")
    mean = average([str(tmp_path / "a"), str(tmp_path / "b")]).nlp
    found = next(shim for node in mean.get_pipe("multitask").model.walk() for shim in node.shims)
    state = next(param for param in found._model.parameters() if param.dim() == 2).detach().numpy()
    np.testing.assert_allclose(state, old + 0.5, atol=1e-6)
    same = average([str(tmp_path / "a"), str(tmp_path / "a"), str(tmp_path / "a")]).nlp
    one = spacy.load(tmp_path / "a")
    assert [doc.cats for doc in same.pipe(TEXTS)] == [doc.cats for doc in one.pipe(TEXTS)]
