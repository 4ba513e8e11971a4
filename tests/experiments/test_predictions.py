"""What a run keeps of its predictions: counts, decisions and tokens, as arrays."""

import numpy as np
import pytest
import spacy
from multi import write
from pipelines import heads_config
from small_comparison import MODEL, bare
from spacy.tokens import DocBin, Span
from spacy.training import Example
from srsly import msgpack_encoders
from toy import make_docs

from spacy_mtl.arrays_file import load_arrays, save_arrays, smallest
from spacy_mtl.experiments.predictions import judged_counts, save_predictions, score
from spacy_mtl.experiments.quick_messages import quick_messages
from spacy_mtl.experiments.stored_decisions import load_decisions
from spacy_mtl.experiments.stored_tokens import load_docs, save_docs

# "file" is also the name of an argument of np.savez
HEADS = heads_config(
    file={"kind": "DocClassifier"},
    slots={"kind": "EntityRecognizer"},
    words={"kind": "Tagger"},
    starts={"kind": "Tagger", "attr": "sent_start"},
)


@pytest.fixture(scope="module")
def predicted():
    """A pipeline, and examples that it has annotated; every third doc lacks cats or entities."""
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"model": MODEL, "heads": HEADS})
    gold = make_docs(12, 0)
    for doc in gold:
        for token in doc:
            token.tag_, token.is_sent_start = token.shape_, token.i == 0
    train = [Example(bare(nlp, doc), doc) for doc in gold]
    optimizer = nlp.initialize(lambda: train)
    for _ in range(3):
        nlp.update(train, sgd=optimizer)
    for doc in gold[1::3]:
        doc.cats = {}
    for doc in gold[2::3]:
        doc.set_ents([], default="missing")
    docs = nlp.pipe(bare(nlp, doc) for doc in gold)
    return nlp, [Example(doc, eg.reference) for doc, eg in zip(docs, train, strict=True)]


def test_scores_are_those_of_evaluate(predicted):
    nlp, examples = predicted
    scores, verdicts = score(nlp, examples)
    expected = nlp.evaluate([Example(bare(nlp, eg.reference), eg.reference) for eg in examples])
    expected.pop("speed")
    assert scores == expected
    assert list(verdicts) == list(HEADS)


def test_what_is_kept_is_what_the_heads_say(predicted, tmp_path):
    nlp, examples = predicted
    _, verdicts = score(nlp, examples)
    save_predictions(nlp, examples, verdicts, tmp_path, "dev")
    counts = judged_counts(tmp_path, "dev")
    for key, head in nlp.get_pipe("multitask").heads.items():
        assert np.array_equal(counts[key], head.judge(examples))
        expected, found = head.decisions(examples), load_decisions(tmp_path, "dev", key)
        assert (found.unit, found.names) == (expected.unit, expected.names)
        for column in ("docs", "starts", "ends", "gold", "predicted"):
            assert getattr(found, column).tolist() == getattr(expected, column).tolist()
    assert load_decisions(tmp_path, "dev", "fil") is None
    assert load_decisions(tmp_path, "test", "file") is None


def test_verdicts_are_used_and_not_made_again(predicted, tmp_path, monkeypatch):
    nlp, examples = predicted
    _, verdicts = score(nlp, examples)
    heads = nlp.get_pipe("multitask").heads
    for key in ("file", "slots"):
        monkeypatch.setattr(type(heads[key]), "verdicts", lambda head, examples: pytest.fail("compared again"))
    save_predictions(nlp, examples, verdicts, tmp_path, "dev")


def test_docs_come_back_token_by_token(tmp_path):
    nlp = spacy.blank("en")
    texts = ["a b", "", "don't  stop\n", "你好, naïve \0 x"]
    docs = [nlp(text) for text in texts]
    save_docs(tmp_path, "dev", docs)
    found = load_docs(tmp_path, "dev", spacy.blank("de").vocab)
    assert [doc.text for doc in found] == texts
    assert [[token.text for token in doc] for doc in found] == [[token.text for token in doc] for doc in docs]
    assert found.lengths.tolist() == [len(doc) for doc in docs]
    assert [doc.text for doc in found[2:]] == texts[2:]
    assert found[-1].text == texts[-1]
    assert load_docs(tmp_path, "test", nlp.vocab) is None


def test_no_docs_at_all(tmp_path):
    save_docs(tmp_path, "dev", [])
    assert list(load_docs(tmp_path, "dev", spacy.blank("en").vocab)) == []


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 255], "uint8"), ([-1, 127], "int8"), ([-1, 200], "int16"), ([0, 70000], "uint32"), ([-1, 2**40], "int64")],
)
def test_integers_are_stored_with_as_few_bytes_as_they_need(tmp_path, values, dtype):
    array = np.array(values, dtype="int64")
    assert smallest(array).dtype == dtype
    save_arrays(tmp_path / "a.npz", {"file": array, "x/y": array})
    assert load_arrays(tmp_path / "a.npz")["file"].tolist() == values
    assert load_arrays(tmp_path / "a.npz", "x/")["y"].tolist() == values


def test_span_groups_are_written_without_a_search_for_encoders_each(tmp_path, monkeypatch):
    docs = make_docs(20, 0)
    for doc in docs:
        doc.spans["key"] = [Span(doc, 0, 1, label="A")]
    searches = []
    search = msgpack_encoders.get_entry_points
    monkeypatch.setattr(msgpack_encoders, "get_entry_points", lambda: searches.append(1) or search())
    with quick_messages():
        write(tmp_path / "docs.spacy", docs)
    assert len(searches) == 1
    assert "get_all" not in vars(msgpack_encoders)
    found = list(DocBin().from_disk(tmp_path / "docs.spacy").get_docs(docs[0].vocab))
    assert [span.label_ for doc in found for span in doc.spans["key"]] == ["A"] * 20
