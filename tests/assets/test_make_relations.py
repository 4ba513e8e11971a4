"""The set that assets/make_relations.py draws: reproducible, held out, and with more pairs than relations."""

import importlib.util
import re
from itertools import permutations
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_mtl.relation import relations

ROOT = Path(__file__).parents[2]
SIZES = {"train": 300, "dev": 100, "test": 150}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_relations", ROOT / "assets" / "make_relations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    grammar = module.load_grammar()
    assert grammar["sizes"] == {"train": 2000, "dev": 250, "test": 300}
    grammar["sizes"] = SIZES
    module.load_grammar = lambda: grammar
    return module


@pytest.fixture(scope="module")
def made(script):
    return script.make_corpus(0)


def words(docs):
    return {token.text for doc in docs for ent in doc.ents for token in ent}


def test_same_seed_same_bytes(script, made, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["make_relations.py", str(tmp_path)])
    script.main()
    corpus, news = made
    for split, docs in corpus.items():
        assert (tmp_path / f"{split}.spacy").read_bytes() == DocBin(docs=docs).to_bytes()
    assert (tmp_path / "news.txt").read_text(encoding="utf8").splitlines() == news
    assert [doc.text for doc in script.make_corpus(1)[0]["dev"]] != [doc.text for doc in corpus["dev"]]


def test_sizes_and_labels(made):
    for split, docs in made[0].items():
        assert len({doc.text for doc in docs}) == len(docs) == SIZES[split]
        assert {ent.label_ for doc in docs for ent in doc.ents} == {"PER", "ORG", "LOC"}
        labels = {relation.label for doc in docs for relation in relations(doc)}
        assert labels == {"works_for", "born_in", "based_in", "founded", "acquired", "married_to"}


def test_relations_are_stored(made):
    docs = made[0]["dev"]
    stored = list(DocBin().from_bytes(DocBin(docs=docs).to_bytes()).get_docs(Vocab()))
    assert all("relations" in doc.spans for doc in stored)
    for doc, again in zip(docs, stored, strict=True):
        triples, found = (
            [(r.head.text, r.head.label_, r.label, r.tail.text) for r in relations(one)] for one in (doc, again)
        )
        assert triples == found
        places = {(ent.start, ent.end) for ent in again.ents}
        assert {(span.start, span.end) for span in again.spans["relations"]} <= places


def test_many_pairs_are_not_related(made):
    """Not even pairs whose types fit a relation, in both directions."""
    for docs in made[0].values():
        fitting = {(r.head.label_, r.tail.label_) for doc in docs for r in relations(doc)}
        pairs = [pair for doc in docs for pair in permutations(doc.ents, 2) if tuple(e.label_ for e in pair) in fitting]
        n_related = sum(len(relations(doc)) for doc in docs)
        assert n_related < 0.6 * len(pairs)
        assert 0.05 * len(docs) < sum(not relations(doc) for doc in docs) < 0.4 * len(docs)
        assert sum(len(relations(doc)) > 1 for doc in docs) > 0.3 * len(docs)


def test_names_and_templates_are_held_out(script, made):
    shared = words_of_patterns(script.load_grammar())
    train, dev, test = (words(docs) - shared for docs in made[0].values())
    assert not train & dev
    assert not (train | dev) & test
    clauses = [{plain(clause["text"]) for clause in group} for group in script.load_grammar()["clauses"].values()]
    assert len(set.union(*clauses)) == sum(map(len, clauses))


def words_of_patterns(grammar):
    patterns = [pattern for group in grammar["patterns"].values() for pattern in group]
    return set(re.sub(r"\{\w+\}", "", " ".join(patterns)).split())


def plain(text):
    """A template without the names of its slots."""
    return re.sub(r"\{\w+:(\w+)\}", r"\1", text)


def test_news_agree_with_the_world(script):
    """All that the news says holds in the world, and what it denies does not."""
    grammar = script.load_grammar()
    rng = script.random.Random(3)
    cast, facts = script.make_world(grammar, script.split_name_words(grammar, rng)["test"], rng)
    assert len({name for names in cast.values() for name in names}) == sum(map(len, cast.values()))
    for clause in grammar["clauses"]["test"]:
        for _ in range(5):
            names = script.known_names(cast, facts, rng, clause)
            assert script.facts_of(clause["relations"], names) <= facts
            assert not script.facts_of(clause.get("denied", ()), names) & facts
