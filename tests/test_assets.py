"""The sets that assets/make_intents.py draws: reproducible, held out, and not solved by looking words up."""

import importlib.util
import random
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from spacy.tokens import Doc, DocBin

ROOT = Path(__file__).parents[1]
Corpus = dict[str, list[Doc]]

# The English set is drawn smaller than the grammar asks for, to save time.
ENGLISH_SIZES = {"train": 2000, "dev": 200, "test": 300}
MIN_SIZES = {"en": {"train": 3000, "dev": 300, "test": 500}, "zh": {"train": 600, "dev": 100, "test": 150}}
MIN_INTENTS = {"en": 8, "zh": 5}
MIN_SLOTS = {"en": 15, "zh": 8}
SEEN = ("train", "dev")


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "assets" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(script: ModuleType, lang: str, seed: int, sizes: dict[str, int] | None = None) -> Corpus:
    grammar = script.load_grammar(lang)
    grammar["sizes"] = sizes or grammar["sizes"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "load_grammar", lambda lang: grammar)
        return script.make_corpus(lang, seed)


def pattern(script: ModuleType, grammar: dict[str, Any], template: str) -> str:
    """An expression for every wording of a template; its slots stay names."""
    pieces = script.FIELD.split(template)
    options = [grammar["carriers"].get(piece, [f"{{{piece}}}"]) if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return "".join(f"(?:{'|'.join(map(re.escape, words))})" for words in options)


def slot_values(docs: list[Doc]) -> set[str]:
    return {ent.text.lower() for doc in docs for ent in doc.ents}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("make_intents")


@pytest.fixture(scope="module")
def corpora(script: ModuleType) -> dict[str, Corpus]:
    return {"en": draw(script, "en", 0, ENGLISH_SIZES), "zh": draw(script, "zh", 0)}


def test_same_seed_same_bytes(
    script: ModuleType, corpora: dict[str, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        monkeypatch.setattr("sys.argv", ["make_intents.py", str(tmp_path / name), "--lang", "zh"])
        script.main()
    for split, docs in corpora["zh"].items():
        first, second = ((tmp_path / name / f"{split}.spacy").read_bytes() for name in ("first", "second"))
        assert first == second
        stored = DocBin().from_bytes(first).get_docs(docs[0].vocab)
        assert [doc.to_json() for doc in stored] == [doc.to_json() for doc in docs]


def test_other_seed_other_utterances(script: ModuleType) -> None:
    sizes = {"train": 100, "dev": 20, "test": 20}
    first, second = (draw(script, "en", seed, sizes) for seed in (0, 1))
    for split in sizes:
        assert [doc.text for doc in first[split]] != [doc.text for doc in second[split]]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_size_and_labels(script: ModuleType, corpora: dict[str, Corpus], lang: str) -> None:
    sizes = script.load_grammar(lang)["sizes"]
    drawn = ENGLISH_SIZES if lang == "en" else sizes
    for split, docs in corpora[lang].items():
        assert sizes[split] >= MIN_SIZES[lang][split]
        assert len({doc.text for doc in docs}) == len(docs) == drawn[split]
        assert len({max(doc.cats, key=doc.cats.__getitem__) for doc in docs}) >= MIN_INTENTS[lang]
        assert len({ent.label_ for doc in docs for ent in doc.ents}) >= MIN_SLOTS[lang]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_template_is_in_two_splits(script: ModuleType, lang: str) -> None:
    intents = script.load_grammar(lang)["intents"].values()
    train, dev, test = ({text for intent in intents for text in intent[split]} for split in script.SPLITS)
    assert train
    assert dev
    assert test
    assert not test & (train | dev)
    assert not dev & train


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_slot_value_is_in_two_splits(corpora: dict[str, Corpus], lang: str) -> None:
    train, dev, test = (slot_values(docs) for docs in corpora[lang].values())
    assert not test & (train | dev)
    assert not dev & train


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_slot_value_occurs_in_the_text_of_an_earlier_split(
    script: ModuleType, corpora: dict[str, Corpus], lang: str
) -> None:
    seen = ""
    for docs in corpora[lang].values():
        values = {script.token_text(ent) for doc in docs for ent in doc.ents}
        assert [value for value in values if value in seen] == []
        seen += "".join(script.token_text(doc) for doc in docs)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_template_reads_like_one_of_an_earlier_split(script: ModuleType, lang: str) -> None:
    grammar = script.load_grammar(lang)
    rng = random.Random(0)
    for templates in grammar["intents"].values():
        train, dev = (re.compile("|".join(pattern(script, grammar, text) for text in templates[s])) for s in SEEN)
        wordings = {
            s: [script.fill(text, grammar["carriers"], rng) for text in templates[s] * 3] for s in script.SPLITS
        }
        assert [text for text in wordings["dev"] + wordings["test"] if train.fullmatch(text)] == []
        assert [text for text in wordings["test"] if dev.fullmatch(text)] == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_annotation(script: ModuleType, corpora: dict[str, Corpus], lang: str) -> None:
    intents = set(script.load_grammar(lang)["intents"])
    for docs in corpora[lang].values():
        for doc in docs:
            assert set(doc.cats) == intents
            assert sorted(doc.cats.values()) == [0.0] * (len(intents) - 1) + [1.0]
            assert all(ent.text == ent.text.strip() != "" for ent in doc.ents)
        assert sum(bool(doc.ents) for doc in docs) > 0.5 * len(docs)


def test_chinese_tokens_are_characters(corpora: dict[str, Corpus]) -> None:
    for docs in corpora["zh"].values():
        tokens = [token.text for doc in docs for token in doc]
        chinese = [text for text in tokens if any("\u4e00" <= char <= "\u9fff" for char in text)]
        assert len(chinese) > len(tokens) / 2
        assert {len(text) for text in chinese} == {1}


def test_looking_words_up_does_not_solve_it(corpora: dict[str, Corpus]) -> None:
    scores = load_script("baselines").score_baselines(corpora["en"]["train"], corpora["en"]["test"])
    assert set(scores) == {"intent_acc", "slots_f", "exact"}
    assert 0.2 < scores["intent_acc"] < 0.85
    assert scores["slots_f"] < 0.2
    assert scores["exact"] < 0.2


def test_split_corpora_have_different_labels(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar = script.load_grammar("en")
    grammar["sizes"] = {"train": 600, "dev": 60, "test": 60}
    monkeypatch.syspath_prepend(str(ROOT / "assets"))
    split_corpora = load_script("split_corpora")
    monkeypatch.setattr(sys.modules["make_intents"], "load_grammar", lambda lang: grammar)
    first, again = (split_corpora.make_corpora(0, {"train": 100}) for _ in range(2))
    texts: list[str] = []
    for name, splits in first.items():
        for split, docs in splits.items():
            assert [doc.to_bytes() for doc in docs] == [doc.to_bytes() for doc in again[name][split]]
            texts.extend(doc.text for doc in docs)
    assert len(set(texts)) == len(texts) > 300
    intents, slots, topics = (splits["train"] for splits in first.values())
    assert len(intents) == len(slots) == 100
    assert not any(doc.has_annotation("ENT_IOB") for doc in intents)
    assert not any(doc.cats for doc in slots)
    assert {ent.label_ for doc in topics for ent in doc.ents} == {"DATE", "TIME"}
    assert {ent.label_ for doc in first["topics"]["test"] for ent in doc.ents} == {"date", "time"}
    assert all(sorted(doc.cats.values()) == [0.0, 0.0, 1.0] for doc in topics)
    assert any(token.ent_iob == 0 for doc in topics for token in doc)
