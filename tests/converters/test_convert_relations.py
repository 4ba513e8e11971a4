"""Formats with relations: round trips, what overlaps, what is malformed, and real corpora."""

import json
from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds the command to spaCy's app)
from spacy_mtl.all_entities import all_entities
from spacy_mtl.converters.brat import convert_brat
from spacy_mtl.converters.crossre import convert_crossre
from spacy_mtl.converters.inputs import guess_format
from spacy_mtl.converters.prodigy import convert_prodigy
from spacy_mtl.converters.spert import convert_spert
from spacy_mtl.converters.text_files import ConversionError
from spacy_mtl.relation import relations

TOKENS = "Newspaper ` Explosion ' of Santa Rosa was edited by Ada Lovelace".split()
SPERT = {
    "tokens": TOKENS,
    "entities": [
        {"type": "Org", "start": 0, "end": 7},
        {"type": "Loc", "start": 5, "end": 7},
        {"type": "Peop", "start": 10, "end": 12},
    ],
    "relations": [{"type": "OrgBased_In", "head": 0, "tail": 1}, {"type": "Work_For", "head": 2, "tail": 0}],
    "orig_id": 5178,
}
CROSSRE = {
    "doc_key": "ai-1",
    "sentence": TOKENS,
    "ner": [[0, 6, "Org"], [5, 6, "Loc"], [10, 11, "Peop"]],
    "relations": [
        [0, 6, 5, 6, "OrgBased_In", "", False, False],
        [10, 11, 0, 6, "Work_For", "as editor", True, False],
    ],
}
BRAT_TEXT = "Ada Lovelace (London)\r\nmet Charles\nBabbage, not Byron."
BRAT = """T1\tPER 0 12\tAda Lovelace
T2\tLOC 14 20\tLondon
T3\tPER 27 34;35 42\tCharles Babbage
T4\tPER 48 53\tByron
R1\tLives_In Arg1:T1 Arg2:T2\t
* \tx
*\tMet T1 T3 T4
A1\tNegation T4
E1\tMeet:T4 Who:T1
N1\tReference T2 Wikidata:Q84\tLondon
#1\tAnnotatorNotes T1\tgood
""".replace("* \tx\n", "")


def write(path: Path, content: str | list | dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf8", newline="")
    return path


def write_brat(folder: Path, ann: str = BRAT, text: str = BRAT_TEXT) -> Path:
    write(folder / "a.txt", text)
    write(folder / "a.ann", ann)
    return folder


def run_cli(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["mtl", "convert", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def read(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(Vocab()))


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def triples(doc: Doc) -> list[tuple[str, str, str]]:
    return [(r.head.text, r.label, r.tail.text) for r in relations(doc)]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


# Docs as each format has them


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.json", [SPERT, SPERT]),
        ("train.jsonl", json.dumps(SPERT) + "\n\n" + json.dumps(SPERT)),
        ("train.json", json.dumps(CROSSRE) + "\n" + json.dumps(CROSSRE) + "\n"),
        ("train.jsonl", [CROSSRE, CROSSRE]),
    ],
)
def test_words_with_overlapping_entities(tmp_path, name, content):
    code, output = run_cli(write(tmp_path / name, content), tmp_path)
    assert code == 0, output
    assert "train.spacy 2 24 0 6 3 0 4 2" in output
    doc, again = read(tmp_path / "train.spacy")
    assert [token.text for token in doc] == TOKENS
    assert ents(doc) == [("Newspaper ` Explosion ' of Santa Rosa", "Org"), ("Ada Lovelace", "Peop")]
    assert [ent.label_ for ent in all_entities(doc)] == ["Org", "Loc", "Peop"]
    assert triples(doc) == [
        ("Newspaper ` Explosion ' of Santa Rosa", "OrgBased_In", "Santa Rosa"),
        ("Ada Lovelace", "Work_For", "Newspaper ` Explosion ' of Santa Rosa"),
    ]
    assert [(r.head.label_, r.tail.label_, r.score) for r in relations(doc)] == [("Org", "Loc", 1), ("Peop", "Org", 1)]
    assert "scores" not in doc.spans["relations"].attrs
    assert doc.to_json() == again.to_json()


def test_no_relations_are_annotation_too(tmp_path):
    run_cli(write(tmp_path / "x.json", [{"tokens": ["a"], "entities": [], "relations": []}]), tmp_path)
    (doc,) = read(tmp_path / "x.spacy")
    assert list(doc.spans["relations"]) == []
    assert doc[0].ent_iob_ == "O"


def test_two_labels_of_a_pair(tmp_path, nlp):
    rows = [[0, 6, 5, 6, "a"], [0, 6, 5, 6, "b"]]
    (doc,) = convert_crossre(write(tmp_path / "x.json", CROSSRE | {"relations": rows}), nlp.vocab)
    assert [label for _, label, _ in triples(doc)] == ["a", "b"]


def test_crossre_argument_that_is_no_entity(tmp_path, nlp):
    (doc,) = convert_crossre(write(tmp_path / "x.json", CROSSRE | {"relations": [[0, 0, 10, 11, "a"]]}), nlp.vocab)
    assert [(r.head.text, r.head.label_) for r in relations(doc)] == [("Newspaper", "")]
    assert len(all_entities(doc)) == 3


def test_brat(tmp_path):
    code, output = run_cli(write_brat(tmp_path / "corpus" / "train"), tmp_path / "out" / "train.spacy")
    assert code == 0, output
    (doc,) = read(tmp_path / "out" / "train.spacy")
    assert doc.text == BRAT_TEXT
    assert ents(doc) == [
        ("Ada Lovelace", "PER"),
        ("London", "LOC"),
        ("Charles\nBabbage", "PER"),
        ("Byron", "PER"),
    ]
    assert triples(doc) == [
        ("Ada Lovelace", "Lives_In", "London"),
        ("Ada Lovelace", "Met", "Charles\nBabbage"),
        ("Ada Lovelace", "Met", "Byron"),
        ("Charles\nBabbage", "Met", "Byron"),
    ]


def test_brat_splits_of_a_corpus(tmp_path):
    for split in ("train", "devel"):
        write_brat(tmp_path / "corpus" / split)
    write(tmp_path / "corpus" / "train" / "b.txt", "Nothing here.")
    write(tmp_path / "corpus" / "train" / "b.ann", "")
    write(tmp_path / "corpus" / "train" / "README.txt", "not a part of the corpus")
    assert run_cli(tmp_path / "corpus", tmp_path / "out")[0] == 0
    assert [len(triples(doc)) for doc in read(tmp_path / "out" / "train.spacy")] == [4, 0]
    assert [len(triples(doc)) for doc in read(tmp_path / "out" / "dev.spacy")] == [4]


def test_brat_entities_inside_of_tokens(tmp_path, nlp):
    folder = write_brat(tmp_path, "T1\tPROT 3 7\tSmad\nT2\tPROT 11 14\tId1 \nR1\tReg a:T1 b:T2\n", "no Smad1 anId1, 3")
    (doc,) = convert_brat(folder, nlp)
    assert [token.text for token in doc] == ["no", "Smad", "1", "an", "Id1", ",", "3"]
    assert doc.text == "no Smad1 anId1, 3"
    assert triples(doc) == [("Smad", "Reg", "Id1")]


def test_brat_white_space_at_the_ends_of_an_entity(tmp_path, nlp):
    (doc,) = convert_brat(write_brat(tmp_path, "T1\tPER 2 7\t Ada \n", "x  Ada  y"), nlp)
    assert ents(doc) == [("Ada", "PER")]


@pytest.mark.parametrize(
    ("choice", "found", "pairs"),
    [("cover", ["left and right arm", "arm", "pain"], [("pain", "in", "left and right arm")]), ("skip", ["arm"], [])],
)
def test_brat_discontinuous_entities(tmp_path, choice, found, pairs):
    ann = "T1\tPART 13 17;28 31\tleft arm\nT2\tPART 28 31\tarm\nT3\tSIGN 0 4\tpain\nR1\tin Arg1:T3 Arg2:T1\n"
    folder = write_brat(tmp_path / "corpus", ann, "pain, in the left and right arm")
    code, output = run_cli(folder, tmp_path / "out.spacy")
    assert code == 1
    assert "a.ann, line 1: T1 is in 2 parts, with 'and right' between them" in output
    assert "--discontinuous cover" in output
    code, output = run_cli(folder, tmp_path / "out.spacy", "--discontinuous", choice)
    assert code == 0, output
    (doc,) = read(tmp_path / "out.spacy")
    assert {ent.text for ent in all_entities(doc)} == {*found, "pain"}
    assert triples(doc) == pairs


def test_brat_with_a_whitespace_tokenizer(tmp_path):
    folder = write_brat(tmp_path / "corpus", "T1\tPER 0 3\tAda\n", "Ada,  here")
    assert run_cli(folder, tmp_path / "x.spacy", "--tokenizer", "whitespace")[0] == 0
    (doc,) = read(tmp_path / "x.spacy")
    assert (doc.text, ents(doc)) == ("Ada,  here", [("Ada", "PER")])


TASK = {
    "text": "Smad-x  binds Id1",
    "tokens": [{"text": text} for text in ("Smad-x", "binds", "Id1")],
    "spans": [{"start": 0, "end": 4, "label": "GGP"}, {"start": 14, "end": 17, "label": "GGP"}],
    "relations": [
        {
            "head_span": {"start": 14, "end": 17, "label": "GGP"},
            "child_span": {"start": 8, "end": 13, "label": None},
            "label": "Binds",
        }
    ],
    "answer": "accept",
}


@pytest.mark.parametrize("with_tokens", [True, False])
def test_prodigy(tmp_path, nlp, with_tokens):
    task = {key: value for key, value in TASK.items() if with_tokens or key != "tokens"}
    rows = [task, task | {"answer": "reject"}, task | {"answer": "ignore"}, {"text": "a", "spans": []}, {"text": "b"}]
    path = write(tmp_path / "x.jsonl", "\n".join(map(json.dumps, rows)))
    doc, second, third = convert_prodigy(path, nlp)
    assert doc.text == TASK["text"]
    assert [t.text for t in doc][:2] == ["Smad", "-x"] if with_tokens else ["Smad", "-"]
    assert ents(doc) == [("Smad", "GGP"), ("Id1", "GGP")]
    assert [(r.head.text, r.tail.text, r.tail.label_) for r in relations(doc)] == [("Id1", "binds", "")]
    assert "relations" not in second.spans
    assert (second[0].ent_iob_, third[0].ent_iob_) == ("O", "")


# Which format a file has


def test_formats_are_told_apart_by_their_keys(tmp_path):
    assert guess_format(write(tmp_path / "a" / "x.json", [SPERT])) == "spert"
    assert guess_format(write(tmp_path / "b" / "x.json", CROSSRE)) == "crossre"
    assert guess_format(write(tmp_path / "c" / "x.jsonl", TASK)) == "prodigy"
    assert guess_format(write(tmp_path / "d" / "x.jsonl", {"text": "a", "label": "b"})) == "table"
    assert guess_format(write(tmp_path / "e" / "x.jsonl", "{")) == "table"
    assert guess_format(write_brat(tmp_path / "f")) == "brat"
    assert guess_format(tmp_path / "f" / "a.ann") == "brat"
    with pytest.raises(ConversionError, match="no format fits"):
        guess_format(write(tmp_path / "g" / "types.json", {"entities": {}, "relations": {}}))


def test_a_file_of_types_beside_the_corpus_is_left_alone(tmp_path):
    write(tmp_path / "in" / "conll04_train.json", [SPERT])
    write(tmp_path / "in" / "conll04_types.json", {"entities": {"Loc": {"short": "Loc"}}, "relations": {}})
    assert run_cli(tmp_path / "in", tmp_path / "out")[0] == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["conll04_train.spacy"]


def test_a_broken_file_of_a_folder_is_not_left_out(tmp_path):
    write(tmp_path / "in" / "train.json", [SPERT])
    write(tmp_path / "in" / "dev.json", '[{"tokens": [}')
    code, output = run_cli(tmp_path / "in", tmp_path / "out")
    assert (code, "dev.json, line 1: broken JSON" in output) == (1, True)
    assert not (tmp_path / "out").exists()


# What is malformed


def with_entity(**values):
    return [SPERT, SPERT | {"entities": [SPERT["entities"][0] | values, *SPERT["entities"][1:]]}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([SPERT, []], "line 1: expected a JSON object, found list"),
        ([{"tokens": []}], "line 1: 'tokens' is empty, expected words"),
        ([{"tokens": ["a", 1]}], "line 1: 'tokens' has 1, expected words"),
        ([{"tokens": ["a"]}], r"line 1: expected the key 'entities', found 'tokens'"),
        (with_entity(end=13), r"entities\[0\]: it is from 0 up to 13, the end excluded, but the doc has 12 tokens"),
        (with_entity(start=7), r"entities\[0\]: it is from 7 up to 7"),
        (with_entity(start=-1), r"entities\[0\]: it is from -1 up to 7"),
        (with_entity(start="0"), r"entities\[0\]: 'start' is '0', expected a whole number"),
        (with_entity(type=None), r"entities\[0\]: 'type' is None, expected a text"),
        ([SPERT | {"entities": [3]}], r"entities\[0\]: it is 3, expected an object"),
        (
            [SPERT | {"relations": [{"type": "x", "head": 3, "tail": 0}]}],
            r"relations\[0\]: 'head' is 3, but there are 3",
        ),
        (json.dumps([SPERT]).replace("[{", "[\n\n{")[:-9], r"line 7: broken JSON at column"),
        ("[" + json.dumps(SPERT) + ",\n" + json.dumps(SPERT | {"entities": 0}) + "]", r"line 2: 'entities' is 0"),
    ],
)
def test_spert_errors(tmp_path, nlp, content, message):
    with pytest.raises(ConversionError, match=rf"x\.json, {message}" if message.startswith("line") else message):
        list(convert_spert(write(tmp_path / "x.json", content), nlp.vocab))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CROSSRE | {"ner": [[0, 12, "x"]]}, r"ner\[0\]: it is from 0 up to 13"),
        (CROSSRE | {"ner": [[0, "x"]]}, r"ner\[0\]: it is \[0, 'x'\], expected \[start, end, type\]"),
        (
            CROSSRE | {"relations": [[0, 6, 5, 6]]},
            r"relations\[0\]: it is .* expected \[start, end, start, end, label\]",
        ),
        (CROSSRE | {"relations": [[0, 6, 5, 99, "a"]]}, r"relations\[0\]: it is from 5 up to 100"),
        (json.dumps(CROSSRE) + "\n" + "{}", "line 2: expected the key 'sentence', found none"),
    ],
)
def test_crossre_errors(tmp_path, nlp, content, message):
    with pytest.raises(ConversionError, match=rf"x\.json, line \d: .*{message}|{message}"):
        list(convert_crossre(write(tmp_path / "x.json", content), nlp.vocab))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("T1\tPER 0 12", None),
        ("T1 PER 0 12 Ada", "expected ID, tab, label, space, start and end, tab, text, found 'T1 PER"),
        ("T1\tPER 0 99\tAda", "the places 0 99 are empty or not in the text of 54 characters"),
        ("T1\tPER 3 3\t", "the places 3 3 are empty"),
        ("T1\tPER 1 4\tAda", "the text at 1 4 is 'da ', but the line says 'Ada'; places count characters"),
        ("T1\tPER 12 13\t ", "it is from 13 up to 13"),
        ("T2\tLOC 0 3\tAda\nT2\tLOC 0 3\tAda", "a second entity has the ID T2"),
        ("R1\tx Arg1:T7 Arg2:T8", "the argument T7 is no entity"),
        ("R1\tx Arg1:T1", "expected ID, tab, label, and two arguments"),
        ("*\tEquiv T1", r"expected \*, tab, label, and at least two IDs"),
        ("X1\tfoo", r"the line begins with 'X', expected one of T, R, \*, E, A, M, N, #"),
    ],
)
def test_brat_errors(tmp_path, nlp, line, message):
    folder = write_brat(tmp_path, f"\n{line}\n")
    if message is None:
        assert len(list(convert_brat(folder, nlp))) == 1
        return
    with pytest.raises(ConversionError, match=rf"a\.ann, line [23]: {message}"):
        list(convert_brat(folder, nlp))


def test_brat_without_a_text(tmp_path, nlp):
    with pytest.raises(ConversionError, match=r"b\.txt: no such file"):
        list(convert_brat(write(tmp_path / "b.ann", ""), nlp))
    with pytest.raises(ConversionError, match=r"c\.ann: no such file"):
        list(convert_brat(write(tmp_path / "c.txt", "a"), nlp))
    code, output = run_cli(tmp_path, tmp_path / "out", "--format", "spert")
    assert (code, "and the keys tokens, entities, relations" in output) == (1, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": [{"text": "Other"}]}, "the texts of 'tokens' are not those of 'text'"),
        ({"spans": [{"start": 0, "end": 40, "label": "x"}]}, r"spans\[0\]: it is from 0 up to 40"),
        ({"spans": [{"start": 0, "end": 4}]}, r"spans\[0\]: expected the key 'label', found 'start', 'end'"),
        ({"relations": [{"label": "x"}]}, r"relations\[0\]: expected the key 'head_span', found 'label'"),
        ({"answer": "reject"}, "the file has no accepted task"),
    ],
)
def test_prodigy_errors(tmp_path, nlp, change, message):
    with pytest.raises(ConversionError, match=rf"x\.jsonl.*: .*{message}|{message}"):
        list(convert_prodigy(write(tmp_path / "x.jsonl", TASK | change), nlp))


def test_the_option_of_brat_is_for_brat(tmp_path):
    code, output = run_cli(write(tmp_path / "x.json", [SPERT]), tmp_path, "--discontinuous", "skip")
    assert (code, "--discontinuous: the format is spert, the option is for brat" in output) == (1, True)


# Real corpora


def as_spert(doc: Doc) -> dict:
    found = sorted({(e.start, e.end, e.label_) for e in [*all_entities(doc), *arguments(doc)]})
    places = {entity: number for number, entity in enumerate(found)}
    return {
        "tokens": [token.text for token in doc],
        "entities": [{"start": start, "end": end, "type": label} for start, end, label in found],
        "relations": [
            {"type": r.label, "head": places[key(r.head)], "tail": places[key(r.tail)]} for r in relations(doc)
        ],
    }


def as_crossre(doc: Doc) -> dict:
    return {
        "sentence": [token.text for token in doc],
        "ner": [[e.start, e.end - 1, e.label_] for e in [*all_entities(doc), *arguments(doc)]],
        "relations": [
            [r.head.start, r.head.end - 1, r.tail.start, r.tail.end - 1, r.label, "", False, False]
            for r in relations(doc)
        ],
    }


def as_brat(doc: Doc) -> str:
    found = sorted({key(e) for e in [*all_entities(doc), *arguments(doc)]})
    spans = {entity: doc[entity[0] : entity[1]] for entity in found}
    lines = [
        f"T{i}\t{label} {spans[start, end, label].start_char} {spans[start, end, label].end_char}\t"
        f"{spans[start, end, label].text}"
        for i, (start, end, label) in enumerate(found)
    ]
    for i, r in enumerate(relations(doc)):
        lines.append(f"R{i}\t{r.label} Arg1:T{found.index(key(r.head))} Arg2:T{found.index(key(r.tail))}")
    return "\n".join(lines)


def key(span) -> tuple[int, int, str]:
    return span.start, span.end, span.label_


def arguments(doc: Doc) -> list:
    return [span for r in relations(doc) for span in (r.head, r.tail)]


def content(doc: Doc) -> list:
    """Text, entities and relations, in characters."""
    spans = {(e.start_char, e.end_char, e.label_) for e in [*all_entities(doc), *arguments(doc)]}
    rows = [(r.head.start_char, r.head.end_char, r.label, r.tail.start_char, r.tail.end_char) for r in relations(doc)]
    return [doc.text, sorted(spans), rows]


@pytest.mark.parametrize("corpus", ["crossre_ai", "crossre_politics", "crossre_science_zh"])
@pytest.mark.parametrize("form", [as_spert, as_crossre, as_brat])
def test_crossre_comes_back_from_each_format(data_dir, tmp_path, nlp, corpus, form):
    path = data_dir / corpus / "dev.spacy"
    if not path.exists():
        pytest.skip(f"no CrossRE: {path} does not exist")
    docs = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    if form is as_brat:
        for number, doc in enumerate(docs):
            write(tmp_path / "dev" / f"{number:04}.txt", doc.text)
            write(tmp_path / "dev" / f"{number:04}.ann", as_brat(doc))
        again = list(convert_brat(tmp_path / "dev", nlp))
    else:
        converter = convert_spert if form is as_spert else convert_crossre
        joined = "\n".join(json.dumps(form(doc)) for doc in docs)
        again = list(converter(write(tmp_path / "x.json", joined), nlp.vocab))
        if corpus == "crossre_science_zh":  # its texts have no spaces, and these formats don't say so
            docs = [
                Doc(nlp.vocab, words=[t.text for t in doc], spaces=[True] * (len(doc) - 1) + [False]) for doc in docs
            ]
            assert [doc.text for doc in again] == [doc.text for doc in docs]
            return
    assert sum(len(relations(doc)) for doc in docs) > 500
    assert [content(doc) for doc in again] == [content(doc) for doc in docs]


def test_prodigy_relations_of_the_tutorial(data_dir, tmp_path, nlp):
    path = data_dir / "raw" / "relations" / "annotations.jsonl"
    if not path.exists():
        pytest.skip(f"no relations: {path} does not exist")
    code, output = run_cli(path, tmp_path / "out")
    assert code == 0, output
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    docs = read(tmp_path / "out" / "annotations.spacy")
    assert [doc.text for doc in docs] == [row["text"] for row in rows]
    for doc, row in zip(docs, rows, strict=True):
        assert [t.text for t in doc] == [t["text"] for t in row["tokens"]]
        assert {(e.start_char, e.end_char, e.label_) for e in doc.ents} == {
            (s["start"], s["end"], s["label"]) for s in row["spans"]
        }
        assert [(r.head.start_char, r.tail.start_char, r.label) for r in relations(doc)] == [
            (r["head_span"]["start"], r["child_span"]["start"], r["label"]) for r in row["relations"]
        ]
