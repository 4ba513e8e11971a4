"""The report's section on the words that decide: which docs it explains, what it adds up, and who is left out."""

import html
import re

import numpy as np
import pytest
from multi import write
from pipelines import ENCODER, heads_config, make_examples, make_nlp, train

from spacy_mtl.explanations.doc_explainer import MAX_POINTS, DocExplainer
from spacy_mtl.explanations.explained_examples import choose_docs, explain_example
from spacy_mtl.explanations.explanation import Explanation
from spacy_mtl.explanations.label_words import LabelTables
from spacy_mtl.protocols.decisions import Decisions
from spacy_mtl.report.from_pipeline import data_of_pipeline
from spacy_mtl.report.sections.deciding_words import explained_docs, make_deciding_words_v1

CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}


@pytest.fixture(scope="module")
def nlp():
    nlp = make_nlp(tok2vec=CNN)
    train(nlp, make_examples(nlp), steps=30)
    return nlp


@pytest.fixture(scope="module")
def data(nlp, tmp_path_factory):
    """Gold in which the class of the last doc, and the label of its entity, are others than what is predicted."""
    path = tmp_path_factory.mktemp("data") / "dev.spacy"
    docs = [eg.reference for eg in make_examples(nlp)]
    docs[-1].cats = {"play": 1.0, "ask": 0.0}
    docs[-1].ents = [docs[-1].char_span(9, 15, label="PER")]
    write(path, docs)
    return data_of_pipeline(nlp, [path], name="toy", n_explained=4)


def text_of(section):
    section = re.sub(r"<style>.*?</style>", "", section, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section)))


def explanation(words, scores, own=()):
    return Explanation("slots", "LOC[0:1]", "occlusion", "log-odds", words, scores, own, 1.0, None, None, 1)


def test_means_count_a_word_as_0_where_it_does_not_occur():
    tables = LabelTables()
    tables.add("LOC", explanation(("In", "Berlin", "\n"), (1.0, 3.0, 9.0), (1,)))
    tables.add("LOC", explanation(("in", "Rome", "no"), (2.0, 1.0, -4.0), (1,)))
    tables.add("PER", explanation(("Anna",), (1.0,)))
    first, second = tables.of_head("slots", n_words=2)
    assert (first.label, first.n_predictions, second.label, second.own_share) == ("LOC", 2, "PER", None)
    assert [(word.word, word.score, word.n_predictions) for word in first.words_for] == [
        ("berlin", 1.5, 1),
        ("in", 1.5, 2),
    ]
    assert [(word.word, word.score) for word in first.words_against] == [("no", -2.0)]
    assert first.own_share == pytest.approx(4 / 20)


def test_wrong_docs_come_first_then_a_right_one():
    rows = [(0, 0, 1, "A", "B"), (1, 0, 1, "A", "A"), (2, 2, 3, "A", None), (3, 0, 2, "A", "A"), (3, 3, 4, None, "B")]
    found = choose_docs(Decisions.from_rows("spans", rows), [9, 9, 3, 9])
    assert [(choice.index, choice.label, choice.gold) for choice in found] == [
        (3, "B", None),
        (0, "B", "A"),
        (1, "A", "A"),
    ]
    assert found[0].tokens == {3}


def test_a_doc_has_the_decision_what_is_right_and_the_other_heads_at_its_place(nlp, data):
    (_, decisions), *_ = data.first_decisions("slots")
    choice = choose_docs(decisions, data.lengths)[0]
    explainer = DocExplainer(nlp, data.docs[choice.index])
    example = explain_example(explainer, "slots", choice)
    lines = [(line.explanation.head, line.explanation.target, line.verdict) for line in example.lines]
    assert lines == [("slots", "LOC[2:3]", "wrong"), ("slots", "PER[2:3]", "gold"), ("intent", "ask", "")]
    assert example.focus == (2,)
    assert all(line.explanation.n_passes <= MAX_POINTS for line in example.lines)


def test_the_section(data):
    section = make_deciding_words_v1().render(data)
    text = text_of(section)
    assert "The tables are of 4 docs" in text
    assert re.search(r"play 2 .*ask 2", text) or re.search(r"ask 2 .*play 2", text)
    assert section.count('<span class="line"') >= 8
    assert make_deciding_words_v1().render(data) == section
    assert not re.search(r"(src|href)=\"https?:", section)


def test_docs_are_spread_and_never_more_than_asked_for(data):
    assert explained_docs(data) == [0, 1, 2, 3]
    data.n_explained = 2
    assert explained_docs(data) == [0, 3]
    data.n_explained = 9
    assert explained_docs(data) == [0, 1, 2, 3]
    data.n_explained = 0
    assert make_deciding_words_v1().render(data) is None
    data.n_explained = 4


def test_an_encoder_without_embeddings_is_explained_by_occlusion():
    nlp = make_nlp()
    explainer = DocExplainer(nlp, nlp.make_doc("play some jazz"))
    found = explainer.explain("intent", explainer.targets["intent"][0])
    assert found.method == "occlusion"
    assert np.any(found.scores)


def test_a_head_that_cant_explain_itself_is_left_out():
    def with_domains(nlp):
        examples = make_examples(nlp)
        for number, eg in enumerate(examples):
            eg.reference.cats = {f"is={key}": value for key, value in eg.reference.cats.items()}
            eg.reference.cats[f"from={number % 2}"] = 1.0
        return examples

    heads = heads_config(
        intent={"kind": "DocClassifier", "label_prefix": "is="},
        domain={"kind": "DomainAdversary", "total_steps": 9, "prefix": "from="},
    )
    nlp = make_nlp(heads, tok2vec=CNN, examples=with_domains)
    assert set(DocExplainer(nlp, nlp.make_doc("play some jazz")).targets) == {"intent"}
