"""The reader of raw text: its formats, annotation that holds for every text, and what it refuses."""

import json
import re

import pytest
import spacy
from multi import TWO, make_config, write
from pipelines import make_examples
from spacy.tokens import Doc
from spacy.training.initialize import init_nlp
from spacy.util import registry

from spacy_mtl.readers.unlabelled_corpus import make_unlabelled_corpus_v1

NLP = spacy.blank("en")


def read(path, **settings):
    return list(make_unlabelled_corpus_v1(path, **settings)(NLP))


def texts(path, **settings):
    return [eg.predicted.text for eg in read(path, **settings)]


def file(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    return path


def fails(path, *parts, **settings):
    with pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(str(part)) for part in parts)):
        read(path, **settings)


def test_txt_has_one_text_a_line(tmp_path):
    path = file(tmp_path, "raw.txt", "\ufeffplay jazz\r\n\n   \n who is Anna? \nüber\u2028uns")
    assert texts(path) == ["play jazz", "who is Anna?", "über\u2028uns"]
    assert [token.text for token in read(path)[1].predicted] == ["who", "is", "Anna", "?"]


def test_jsonl_has_the_text_under_its_key(tmp_path):
    lines = [json.dumps({"text": "play jazz", "cats": {"a": 1}}), "", json.dumps({"text": " "}), '{"text": "is it"}']
    assert texts(file(tmp_path, "raw.jsonl", "\n".join(lines))) == ["play jazz", "is it"]


def test_of_a_docbin_only_the_tokens_are_kept(tmp_path):
    docs = [eg.reference for eg in make_examples(NLP)]
    docs[0][0].tag_ = "VB"
    odd = Doc(NLP.vocab, words=["don't", "stop", "!"], spaces=[True, False, False])
    no_spaces = Doc(NLP.vocab, words=["play", "it"])
    no_spaces.has_unknown_spaces = True
    examples = read(write(tmp_path / "gold.spacy", [*docs, odd, Doc(NLP.vocab), no_spaces]))
    assert [[token.text for token in eg.predicted] for eg in examples][-2:] == [["don't", "stop", "!"], ["play", "it"]]
    assert [eg.predicted.text for eg in examples][:4] == [doc.text for doc in docs]
    assert examples[-1].reference.has_unknown_spaces
    for eg in examples:
        for doc in (eg.predicted, eg.reference):
            assert not doc.cats
            assert not doc.has_annotation("ENT_IOB")
            assert not doc.has_annotation("TAG")


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    file(tmp_path, "raw/b.txt", "two\nthree")
    file(tmp_path, "raw/a.jsonl", '{"text": "one"}')
    write(tmp_path / "raw" / "more" / "c.spacy", [NLP.make_doc("four")])
    file(tmp_path, "raw/notes.md", "not read")
    assert texts(tmp_path / "raw") == ["one", "two", "three", "four"]
    assert texts(tmp_path / "raw", limit=3) == ["one", "two", "three"]


def test_each_call_starts_again_and_nothing_is_read_ahead(tmp_path):
    reader = make_unlabelled_corpus_v1(file(tmp_path, "raw.jsonl", '{"text": "one"}\n{"text": "two"}\nbroken'))
    for _ in range(2):
        stream = reader(NLP)
        assert [next(stream).predicted.text for _ in range(2)] == ["one", "two"]


def test_what_is_known_of_every_text_is_gold(tmp_path):
    examples = read(file(tmp_path, "raw.txt", "one\ntwo"), cats={"play": 1.0, "ask": 0.0})
    assert [eg.reference.cats for eg in examples] == [{"play": 1.0, "ask": 0.0}] * 2
    assert not any(eg.predicted.cats for eg in examples)
    examples[0].reference.cats["play"] = 0.0
    assert examples[1].reference.cats["play"] == 1.0


def test_in_a_config_known_cats_train_a_head(tmp_path):
    gold = write(tmp_path / "gold.spacy", [eg.reference for eg in make_examples(NLP)] * 5)
    config = make_config({"gold": gold, "raw": gold})
    reader = {"@readers": "spacy_mtl.UnlabelledCorpus.v1", "path": str(file(tmp_path, "raw.txt", "play it\nplay"))}
    config["corpora"]["train"]["corpora"]["raw"]["reader"] = reader | {"cats": {"play": 1.0}}
    pipe = init_nlp(config).get_pipe("multitask")
    assert pipe.label_data == {"intent": ["ask", "play"], "slots": ["GENRE", "LOC", "PER"]}
    assert set(TWO) == set(pipe.heads)


def test_it_is_registered():
    assert registry.readers.get("spacy_mtl.UnlabelledCorpus.v1") is make_unlabelled_corpus_v1


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("raw.csv", "text\na", ("raw.csv", "'.csv'", ".txt, .jsonl, .spacy")),
        ("raw.txt", "", ("no text", "raw.txt")),
        ("raw.txt", "\n  \n", ("no text", "raw.txt")),
        ("raw.txt", b"fine\n\ncaf\xe9\n", ("raw.txt, line 3", "not UTF-8")),
        ("raw.jsonl", '{"text": "fine"}\n\n{"text": \n', ("raw.jsonl, line 3", "not JSON")),
        ("raw.jsonl", '{"txt": "a"}', ("raw.jsonl, line 1", '"text"', "['txt']")),
        ("raw.jsonl", '{"text": 3}', ("raw.jsonl, line 1", '"text"')),
        ("raw.jsonl", '["a"]', ("raw.jsonl, line 1", "a list")),
        ("raw.jsonl", '{"text": ""}', ("no text", "raw.jsonl")),
        ("raw.spacy", b"broken", ("raw.spacy", "no complete .spacy file")),
    ],
)
def test_a_broken_file(tmp_path, name, content, parts):
    fails(file(tmp_path, name, content), "UnlabelledCorpus.v1", *parts)


def test_an_empty_file_in_a_folder(tmp_path):
    file(tmp_path, "raw/a.txt", "fine")
    file(tmp_path, "raw/b.txt", "")
    fails(tmp_path / "raw", "no text", "b.txt")


def test_a_docbin_without_docs(tmp_path):
    fails(write(tmp_path / "raw.spacy", []), "no text", "raw.spacy")


def test_a_folder_without_texts(tmp_path):
    fails(tmp_path, "the folder", tmp_path.name, ".txt, .jsonl, .spacy")


def test_a_missing_file(tmp_path):
    fails(tmp_path / "gone.txt", "no such file", "gone.txt")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"limit": -1}, ("limit is -1",)),
        ({"cats": {"a": 1.5, "b": 1.0}}, ("{'a': 1.5}", "0 to 1")),
        ({"path": None}, ("path is null",)),
    ],
)
def test_wrong_settings(tmp_path, settings, parts):
    path = settings.pop("path", tmp_path)
    fails(path, "UnlabelledCorpus.v1", *parts, **settings)
