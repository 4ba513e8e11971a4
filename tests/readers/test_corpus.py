"""`spacy_mtl.Corpus.v1`: gold tokens without loss of annotation; otherwise the same as spaCy's reader."""

import random

import pytest
import spacy
from multi import make_config, write
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus as SpacyCorpus
from spacy.training import Example
from spacy.util import registry

from spacy_mtl.readers.corpus import Corpus, make_corpus_v1

NLP = spacy.blank("en")
REAL = ["hwu64/train", "nlupp_banking/train", "ewt/train", "ewt/dev", "snips/train", "crossre_ai/train"]


def annotation(doc):
    """Everything that a doc's `.spacy` file holds, without its `cats` and without the marks of a single sentence."""
    stored = doc.to_json()
    stored.pop("cats", None)
    if len(list(doc.sents) if doc.has_annotation("SENT_START") else [doc]) == 1:
        stored.pop("sents", None)
    return stored


def words(doc):
    return [(token.text, token.whitespace_) for token in doc]


def gold_docs():
    """One word; two sentences; one sentence without sentence starts; no token. All but the last have a class."""
    one = Doc(NLP.vocab, words=["stop"], ents=["B-VERB"])
    two = Doc(NLP.vocab, words=["go", "on", ".", "Stop", "!"], sent_starts=[True, False, False, True, False])
    two.spans["marked"] = [Span(two, 1, 4, label="ACROSS")]
    plain = Doc(NLP.vocab, words=["ca", "n't", "stop"], spaces=[False, True, False])
    for doc in (one, two, plain):
        doc.cats = {"stop": 1.0, "other": 0.0}
        doc.user_data["note"] = "kept"
    return [one, two, plain, Doc(NLP.vocab)]


@pytest.fixture
def path(tmp_path):
    DocBin(docs=gold_docs(), store_user_data=True).to_disk(tmp_path / "gold.spacy")
    return tmp_path / "gold.spacy"


def test_gold_tokens_lose_nothing(path):
    examples = list(Corpus(path)(NLP))
    assert [eg.reference.to_json() for eg in examples] == [doc.to_json() for doc in gold_docs()[:3]]
    assert [eg.reference.user_data["note"] for eg in examples] == ["kept"] * 3
    assert [words(eg.predicted) for eg in examples] == [words(eg.reference) for eg in examples]
    assert not any(eg.predicted.cats or eg.predicted.user_data or eg.predicted.ents for eg in examples)
    assert [bool(eg.reference.cats) for eg in SpacyCorpus(path, gold_preproc=True)(NLP)] == [False] * 3 + [True]


def test_without_gold_tokens_it_is_spacys_reader(path):
    for max_length in (0, 2, 4):
        ours = list(Corpus(path, gold_tokens=False, max_length=max_length)(NLP))
        theirs = list(SpacyCorpus(path, max_length=max_length)(NLP))
        assert [eg.reference.to_json() for eg in ours] == [eg.reference.to_json() for eg in theirs]
        assert [words(eg.predicted) for eg in ours] == [words(eg.predicted) for eg in theirs]


@pytest.mark.parametrize("name", REAL)
def test_real_data(data_dir, name):
    file = data_dir / f"{name}.spacy"
    gold = list(DocBin().from_disk(file).get_docs(NLP.vocab))
    ours = list(Corpus(file)(NLP))
    assert [eg.reference.to_json() for eg in ours] == [doc.to_json() for doc in gold]
    assert all(words(eg.predicted) == words(eg.reference) for eg in ours)
    theirs = iter(SpacyCorpus(file, gold_preproc=True)(NLP))
    for eg in ours:
        n_sents = len(list(eg.reference.sents)) if eg.reference.has_annotation("SENT_START") else 1
        parts = [next(theirs) for _ in range(n_sents)]
        assert words(eg.predicted) == [word for part in parts for word in words(part.predicted)]
        if n_sents == 1:
            assert annotation(eg.reference) == annotation(parts[0].reference)
    assert next(theirs, None) is None


def test_cats_that_spacys_reader_loses(data_dir):
    """The figures that are the reason for this reader. Each sentence of EWT carries its sentence starts."""
    for name, n_lost in (("hwu64", 56), ("nlupp_banking", 11), ("nlupp_hotels", 12), ("ewt", 12_544)):
        file = data_dir / name / "train.spacy"
        n_docs = sum(bool(eg.reference.cats) for eg in Corpus(file)(NLP))
        n_kept = sum(bool(eg.reference.cats) for eg in SpacyCorpus(file, gold_preproc=True)(NLP))
        assert n_docs - n_kept == n_lost, name


def test_max_length_splits_into_sentences(path):
    examples = list(Corpus(path, max_length=4)(NLP))
    assert [eg.reference.text for eg in examples] == ["stop ", "go on . ", "Stop ! ", "can't stop"]
    assert [bool(eg.reference.cats) for eg in examples] == [True, False, False, True]
    assert [eg.reference.text for eg in Corpus(path, max_length=3)(NLP)] == ["stop ", "Stop ! "]


def test_limit_counts_docs_of_all_files(path):
    path.with_name("more.spacy").write_bytes(path.read_bytes())
    assert len(list(Corpus(path.parent)(NLP))) == 6
    assert len(list(Corpus(path.parent, limit=4)(NLP))) == 4
    assert len(list(Corpus(path.parent, limit=2)(NLP))) == 2


def test_shuffle_and_augmenter(path):
    def twice(nlp, example):
        yield example
        yield Example(nlp.make_doc("again"), nlp.make_doc("again"))

    random.seed(3)
    ours = [eg.reference.text for eg in Corpus(path, shuffle=True, augmenter=twice)(NLP)]
    random.seed(3)
    theirs = [eg.reference.text for eg in SpacyCorpus(path, shuffle=True, augmenter=twice)(NLP)]
    assert ours == theirs
    assert len(ours) == 6


def test_errors_name_what_is_wrong(path, tmp_path):
    with pytest.raises(ValueError, match="path is null"):
        make_corpus_v1(None)
    with pytest.raises(ValueError, match="limit is -1"):
        make_corpus_v1(path, limit=-1)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"gold\.spacy is no complete \.spacy file"):
        list(Corpus(path)(NLP))
    with pytest.raises(FileNotFoundError, match=r"gone\.spacy"):
        list(Corpus(tmp_path / "gone.spacy")(NLP))
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning, match="W090"), pytest.raises(ValueError, match="neither"):
        list(Corpus(tmp_path / "empty")(NLP))


def test_in_a_config_alone_and_in_a_multi_corpus(path, tmp_path):
    section = {"@readers": "spacy_mtl.Corpus.v1", "path": str(path)}
    (reader,) = registry.resolve({"reader": section}).values()
    assert reader.gold_tokens
    assert len(list(reader(NLP))) == 3
    config = make_config({"one": write(tmp_path / "one.spacy", gold_docs())})
    config["corpora"]["train"]["corpora"]["one"]["reader"] = section
    multi = registry.resolve(config["corpora"])["train"]
    assert [eg.reference.cats for eg in multi.sources["one"](NLP)] == [{"stop": 1.0, "other": 0.0}] * 3
