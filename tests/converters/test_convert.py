import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds the command to spaCy's app)
from spacy_mtl.converters.conllu import convert_conllu
from spacy_mtl.converters.csv_jsonl import convert_table
from spacy_mtl.converters.inputs import find_inputs, guess_format
from spacy_mtl.converters.iob import convert_iob
from spacy_mtl.converters.joint import convert_joint
from spacy_mtl.converters.tags import tags_to_entities
from spacy_mtl.converters.text_files import ConversionError, read_lines

OLD = b"what was here before"

CONLLU = """# sent_id = 1
# text = I don't.
1\tI\tI\tPRON\tPRP\tCase=Nom|Person=1\t3\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
3\tn't\tnot\tPART\tRB\tPolarity=Neg\t0\troot\t_\t_
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t3:conj\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

1\tGo\tgo\tVERB\tVB\tVerbForm=Inf\t0\troot\t_\tname=O
2\tto\tto\tADP\tIN\t_\t3\tcase\t_\tname=O
3\tRome\tRome\tPROPN\tNNP\tNumber=Sing\t1\tobl\t_\tname=B-LOC
"""


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_joint(folder: Path, words: str, tags: str, labels: str) -> Path:
    for name, text in (("seq.in", words), ("seq.out", tags), ("label", labels)):
        write(folder / name, text)
    return folder


def read(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(Vocab()))


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def run_cli(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["mtl", "convert", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def run_process(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spacy", "mtl", "convert", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


# Tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-X I-X O B-X", [(0, 2, "X"), (3, 4, "X")]),
        ("B-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        ("I-X I-X B-X I-Y O I-Y", [(0, 2, "X"), (2, 3, "X"), (3, 4, "Y"), (5, 6, "Y")]),
        ("U-X B-X I-X L-X U-Y", [(0, 1, "X"), (1, 4, "X"), (4, 5, "Y")]),
        ("S-X B-X E-X I-X", [(0, 1, "X"), (1, 3, "X"), (3, 4, "X")]),
        ("O B-a-b:c I-a-b:c", [(1, 3, "a-b:c")]),
        ("O O", []),
    ],
)
def test_tag_schemes(tags, expected):
    tags = tags.split()
    assert tags_to_entities(tags, path=Path("x"), lines=range(len(tags))) == expected


@pytest.mark.parametrize("tags", ["X-foo", "B-", "B", "b-X", "", "O L-X", "B-X L-Y", "B-X L-X L-X"])
def test_invalid_tags(tags):
    with pytest.raises(ConversionError, match=r"x, line 7: .*tag"):
        tags_to_entities(tags.split(" "), path=Path("x"), lines=[7] * 3)


# Joint intent and slot files


def test_joint_round_trip(tmp_path):
    words = "fly from  New York \r\nfares please\r\n\r\n"
    folder = write_joint(tmp_path / "train", words, "O O B-city I-city\nO O\n", "flight\nfare#flight\n")
    code, output = run_cli(folder, tmp_path / "out")
    assert code == 0, output
    first, second = read(tmp_path / "out" / "train.spacy")
    assert [t.text for t in first] == ["fly", "from", "New", "York"]
    assert first.text == "fly from New York"
    assert ents(first) == [("New York", "city")]
    assert first.cats == {"flight": 1.0, "fare#flight": 0.0}
    assert [t.ent_iob_ for t in second] == ["O", "O"]
    assert second.cats == {"flight": 0.0, "fare#flight": 1.0}
    assert "train.spacy 2 6 2 1 1 0" in output


def test_joint_splits_share_intents(tmp_path):
    write_joint(tmp_path / "atis" / "train", "a\nb", "O\nO", "x#y\nx")
    write_joint(tmp_path / "atis" / "dev", "a", "B-s", "z")
    assert run_cli(tmp_path / "atis", tmp_path / "out", "--multilabel")[0] == 0
    assert [d.cats for d in read(tmp_path / "out" / "train.spacy")] == [
        {"x": 1, "y": 1, "z": 0},
        {"x": 1, "y": 0, "z": 0},
    ]
    assert [d.cats for d in read(tmp_path / "out" / "dev.spacy")] == [{"x": 0, "y": 0, "z": 1}]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a\nb", "O", "x\nx"), r"line 2: expected the same number .* seq.in 2, seq.out 1, label 2"),
        (("a b\na b", "O O\nO", "x\nx"), r"seq.out, line 2: expected 2 tags for 'a b', found 1"),
        (("a\nb", "O\nX-foo", "x\nx"), r"seq.out, line 2: invalid tag 'X-foo'"),
        (("a\n\nb", "O\n\nO", "x\nx\nx"), r"seq.in, line 2: expected an utterance"),
        (("a\nb", "O\nO", " \nx"), r"label, line 1: expected an intent"),
        (("", "O", "x"), r"seq.in: the file is empty"),
    ],
)
def test_joint_errors(tmp_path, nlp, files, message):
    with pytest.raises(ConversionError, match=message):
        list(convert_joint(write_joint(tmp_path, *files), nlp.vocab))


def test_joint_missing_file(tmp_path, nlp):
    write_joint(tmp_path, "a", "O", "x")
    (tmp_path / "label").unlink()
    with pytest.raises(ConversionError, match="label: no such file"):
        list(convert_joint(tmp_path, nlp.vocab))


# Columns


def test_iob_round_trip(tmp_path):
    text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n"
    text += "Peter NNP B-NP I-PER\nBlackburn NNP I-NP I-PER\n"
    assert run_cli(write(tmp_path / "train.conll", text), tmp_path / "train.spacy")[0] == 0
    first, second = read(tmp_path / "train.spacy")
    assert [(t.text, t.ent_iob_, t.ent_type_) for t in first] == [("EU", "B", "ORG"), ("rejects", "O", "")]
    assert ents(second) == [("Peter Blackburn", "PER")]
    assert first.cats == {}


def test_iob_columns(tmp_path, nlp):
    path = write(tmp_path / "x.iob2", "\ufeff1\tNew York\tB-LOC\t_\r\n2\tcalling\tO\t_\r\n")
    (doc,) = convert_iob(path, nlp.vocab, token_column=2, ent_column=-2)
    assert [(t.text, t.ent_type_) for t in doc] == [("New York", "LOC"), ("calling", "")]


def test_iob_encoding(tmp_path):
    path = write(tmp_path / "x.iob", "é O\n".encode("latin-1"))
    code, output = run_cli(path, tmp_path / "x.spacy")
    assert code == 1
    assert "x.iob, line 1: byte 0 (0xe9) is not utf-8" in output
    assert run_cli(path, tmp_path / "x.spacy", "--encoding", "latin-1")[0] == 0
    assert read(tmp_path / "x.spacy")[0].text == "é"
    assert "unknown encoding 'latin-0'" in run_cli(path, tmp_path / "x.spacy", "--encoding", "latin-0")[1]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a O\nb X O\n", {}, "line 2: expected 2 columns as in the first line, found 3"),
        ("a O\n\nb X-foo\n", {}, "line 3: invalid tag 'X-foo'"),
        ("a O\n", {"ent_column": 3}, "line 1: no column 3: the line has 2 columns"),
        ("a O\n", {"token_column": 0}, "line 1: no column 0"),
        ("a\tO\n\tO\n", {}, "line 2: column 1 is empty"),
        ("\n \n", {}, "the file is empty"),
        ("-DOCSTART- O\n\n", {}, "the file has no sentence"),
    ],
)
def test_iob_errors(tmp_path, nlp, text, columns, message):
    with pytest.raises(ConversionError, match=message):
        list(convert_iob(write(tmp_path / "x.iob", text), nlp.vocab, **columns))


# CoNLL-U


def test_conllu_round_trip(tmp_path):
    path = write(tmp_path / "train.conllu", CONLLU)
    assert run_cli(path, tmp_path)[0] == 0
    first, second = read(tmp_path / "train.spacy")
    assert first.text == "I don't."
    rows = [(t.text, t.tag_, t.pos_, str(t.morph), t.lemma_, t.head.i, t.dep_, t.is_sent_start) for t in first]
    assert rows == [
        ("I", "PRP", "PRON", "Case=Nom|Person=1", "I", 2, "nsubj", True),
        ("do", "VBP", "AUX", "", "do", 2, "aux", False),
        ("n't", "RB", "PART", "Polarity=Neg", "not", 2, "ROOT", False),
        (".", ".", "PUNCT", "", ".", 2, "punct", False),
    ]
    assert all(t.has_morph() for t in first)
    assert not first.has_annotation("ENT_IOB")
    assert second.text == "Go to Rome"


def test_conllu_merges_sentences_and_reads_entities(tmp_path):
    path = write(tmp_path / "train.conllu", CONLLU)
    assert run_cli(path, tmp_path, "--n-sents", 2, "--ner-key", "name")[0] == 0
    (doc,) = read(tmp_path / "train.spacy")
    assert doc.text == "I don't. Go to Rome"
    assert [t.head.i for t in doc] == [2, 2, 2, 2, 4, 6, 4]
    assert [sent.text for sent in doc.sents] == ["I don't.", "Go to Rome"]
    assert [t.ent_iob_ for t in doc] == ["O"] * 6 + ["B"]
    assert ents(doc) == [("Rome", "LOC")]


def test_conllu_missing_columns(tmp_path, nlp):
    path = write(tmp_path / "x.conllu", "1\t_\t_\t_\tSYM\t_\t_\t_\t_\t_\n2\ta\t_\tX\t_\t_\t_\t_\t_\t_\n")
    (doc,) = convert_conllu(path, nlp.vocab)
    assert [(t.tag_, t.pos_, t.lemma_) for t in doc] == [("SYM", "", "_"), ("", "X", "")]
    assert not any(t.has_morph() or t.has_dep() or t.has_head() for t in doc)
    assert [t.is_sent_start for t in doc] == [True, False]


def replace_line(n: int, *changes: tuple[int, str]) -> str:
    """CONLLU with columns of its n-th line changed."""
    lines = CONLLU.split("\n")
    columns = lines[n - 1].split("\t")
    for column, value in changes:
        columns[column] = value
    lines[n - 1] = "\t".join(columns)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONLLU.replace("\taux\t_\t_", "\taux\t_"), "line 5: expected 10 tab-separated columns, found 9"),
        (replace_line(8, (6, "5")), "line 8: HEAD 5 is not in 0 to 4"),
        (replace_line(8, (6, "x")), "line 8: HEAD is 'x', expected a number or _"),
        (replace_line(8, (6, "_")), "line 8: HEAD is _, but other words"),
        (replace_line(8, (6, "0")), "line 3: expected one word with HEAD 0, found 2"),
        (replace_line(8, (6, "4")), "line 8: the heads of word 4 form a cycle"),
        (replace_line(8, (0, "5")), "line 8: expected ID 4, found '5'"),
        (replace_line(8, (0, "x")), "line 8: expected ID 4, found 'x'"),
        (replace_line(8, (1, "")), "line 8: FORM is empty"),
        (replace_line(8, (3, "FOO")), "line 8: UPOS 'FOO' is not a Universal Dependencies tag"),
        (replace_line(4, (0, "2-9")), "line 4: range 2-9 is not in 1 to 4"),
        (replace_line(12, (9, "name=LOC")), "line 12: invalid tag 'LOC'"),
        (CONLLU.replace("name=", "NE="), "no word has name= in MISC"),
        ("# text = nothing\n", "the file has no sentence"),
        (CONLLU + "\n1\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", "line 14: HEAD is _, but other words"),
    ],
)
def test_conllu_errors(tmp_path, nlp, text, message):
    with pytest.raises(ConversionError, match=message):
        list(convert_conllu(write(tmp_path / "x.conllu", text), nlp.vocab, ner_key="name"))


# Tables


def test_csv_round_trip(tmp_path):
    path = write(tmp_path / "train.csv", 'text,label\n"It\'s ""good"",\nreally",pos\nbad,neg\n\nunknown,\n')
    assert run_cli(path, tmp_path)[0] == 0
    docs = read(tmp_path / "train.spacy")
    assert [t.text for t in docs[0]][:3] == ["It", "'s", '"']
    assert docs[0].text == 'It\'s "good",\nreally'
    assert [doc.cats for doc in docs] == [{"neg": 0.0, "pos": 1.0}, {"neg": 1.0, "pos": 0.0}, {}]
    assert not any(doc.has_annotation("ENT_IOB") for doc in docs)


def test_table_columns_are_prefixed_and_shared(tmp_path):
    write(tmp_path / "in" / "train.tsv", 'body\ttopic\tmood\na "b\tx\tup\nc\t\tdown\n')
    write(tmp_path / "in" / "dev.tsv", "body\ttopic\tmood\nd\ty\t\n")
    args = [tmp_path / "in", tmp_path / "out", "--text", "body", "--label", "topic", "--label", "mood"]
    assert run_cli(*args, "--no-quotes", "--tokenizer", "whitespace")[0] == 0
    train = read(tmp_path / "out" / "train.spacy")
    assert [t.text for t in train[0]] == ["a", '"b']
    assert train[0].cats == {"topic=x": 1.0, "topic=y": 0.0, "mood=down": 0.0, "mood=up": 1.0}
    assert train[1].cats == {"mood=down": 1.0, "mood=up": 0.0}
    assert read(tmp_path / "out" / "dev.spacy")[0].cats == {"topic=x": 0.0, "topic=y": 1.0}


def test_jsonl_multilabel(tmp_path):
    rows = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []}, {"text": "c", "label": None}, {"text": "d"}]
    path = write(tmp_path / "train.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    assert run_cli(path, tmp_path, "--multilabel")[0] == 0
    assert [doc.cats for doc in read(tmp_path / "train.spacy")] == [{"x": 1.0, "y": 1.0}, {"x": 0.0, "y": 0.0}, {}, {}]


def test_csv_multilabel(tmp_path, nlp):
    path = write(tmp_path / "x.csv", "text,label\na,x | y\nb,\n")
    docs = list(convert_table(path, nlp, multilabel=True, separator="|"))
    assert [doc.cats for doc in docs] == [{"x": 1.0, "y": 1.0}, {"x": 0.0, "y": 0.0}]


def test_jsonl_numbers(tmp_path, nlp):
    path = write(tmp_path / "x.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n')
    assert [doc.cats for doc in convert_table(path, nlp)] == [{"0": 0.0, "1": 1.0}, {"0": 1.0, "1": 0.0}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "text,label\na,x\nb\n", r"line 3: expected the 2 columns \['text', 'label'\], found 1"),
        ("x.csv", "text,label\na,x\n,x\n", "line 3: column 'text' is '', expected a text"),
        ("x.csv", "body,label\na,x\n", r"line 2: no column 'text', the columns are \['body', 'label'\]"),
        ("x.csv", "text,topic\na,x\n", r"line 1: no column 'label', the columns are \['text', 'topic'\]"),
        ("x.csv", "text,label\na,\n", "column 'label' has no value in any row"),
        ("x.csv", "text,label\n", "the file has a header but no rows"),
        ("x.csv", "text,text\na,x\n", "line 1: two columns have the name 'text'"),
        ("x.csv", 'text,label\na,x\n"b,x\nc,x\n', "line 3: unexpected end of data"),
        ("x.csv", "", "the file is empty"),
        ("x.jsonl", '{"text": "a", "label": "x"}\n{"text"\n', "line 2: broken JSON at character 8"),
        ("x.jsonl", '{"text": "a", "label": "x"}\n[]\n', "line 2: expected a JSON object, found list"),
        ("x.jsonl", '{"text": 1, "label": "x"}\n', "line 1: column 'text' is 1, expected a text"),
        ("x.jsonl", '{"text": "a", "label": ["x"]}\n', "line 1: column 'label' is a list: set --multilabel"),
        ("x.jsonl", '{"text": "a", "label": {"x": 1}}\n', "line 1: column 'label' is .* expected a label"),
        ("x.jsonl", '{"text": "\\ud83d", "label": "x"}\n', "line 1: an escape is half of a surrogate pair"),
    ],
)
def test_table_errors(tmp_path, nlp, name, text, message):
    with pytest.raises(ConversionError, match=message):
        list(convert_table(write(tmp_path / name, text), nlp))


@pytest.mark.parametrize(("name", "mark"), [("train.tsv", "\t"), ("train.csv", ",")])
def test_table_without_a_header(tmp_path, name, mark):
    path = write(tmp_path / "in" / name, f"good{mark}great film\nbad{mark}dull film\n")
    code, output = run_cli(path, tmp_path / "out")
    assert code == 1
    assert f"{name}, line 1: no column 'label', the columns are ['good', 'great film']" in output
    assert "--columns text,label" in output
    code, output = run_cli(path.parent, tmp_path / "out", "--columns", "label, text")
    assert code == 0, output
    docs = read(tmp_path / "out" / "train.spacy")
    assert [doc.text for doc in docs] == ["great film", "dull film"]
    assert [doc.cats for doc in docs] == [{"bad": 0.0, "good": 1.0}, {"bad": 1.0, "good": 0.0}]
    code, output = run_cli(path, tmp_path / "out", "--columns", "label,text,more")
    assert (code, "line 1: expected the 3 columns ['label', 'text', 'more'], found 2" in output) == (1, True)


@pytest.mark.parametrize("text", ["good film,good\n", "x,x\ny,x\n"])
def test_table_that_looks_headerless(tmp_path, nlp, text):
    with pytest.raises(ConversionError, match="--columns text,label"):
        list(convert_table(write(tmp_path / "x.csv", text), nlp))


def test_columns_of_jsonl(tmp_path):
    code, output = run_cli(write(tmp_path / "x.jsonl", "{}"), tmp_path / "out", "--columns", "text,label")
    assert (code, "--columns is for .csv and .tsv files" in output) == (1, True)


# Inputs and outputs


def test_guess_format(tmp_path):
    assert guess_format(write(tmp_path / "a" / "x.conllu", "")) == "conllu"
    assert guess_format(tmp_path / "a") == "conllu"
    assert guess_format(write_joint(tmp_path / "b" / "train", "", "", "")) == "joint"
    assert guess_format(tmp_path / "b") == "joint"
    with pytest.raises(ConversionError, match="cannot guess the format: no format fits"):
        guess_format(write(tmp_path / "x.txt", "a O"))
    write(tmp_path / "a" / "x.csv", "")
    with pytest.raises(ConversionError, match="both conllu and table fit"):
        guess_format(tmp_path / "a")


def test_find_inputs_errors(tmp_path):
    with pytest.raises(ConversionError, match=r"expected files with the suffix \.conllu"):
        find_inputs(tmp_path, "conllu")
    with pytest.raises(ConversionError, match=r"expected folders with seq\.in"):
        find_inputs(tmp_path, "joint")
    write(tmp_path / "x.csv", "")
    write(tmp_path / "x.tsv", "")
    with pytest.raises(ConversionError, match=r"x\.csv and x\.tsv would both become x\.spacy"):
        find_inputs(tmp_path, "table")


def test_lines_end_only_at_line_feeds(tmp_path):
    assert read_lines(write(tmp_path / "x", "a\u2028b\x85c\r\nd\n")) == ["a\u2028b\x85c", "d"]


def test_misaligned_entities_are_counted(tmp_path):
    rows = [("play", "SpaceAfter=No"), ("list", "name=B-X"), ("one", "name=B-X")]
    lines = [f"{i}\t{form}\t_\t_\t_\t_\t_\t_\t_\t{misc}" for i, (form, misc) in enumerate(rows, start=1)]
    path = write(tmp_path / "x.conllu", "\n".join(lines))
    code, output = run_cli(path, tmp_path / "x.spacy", "--ner-key", "name")
    assert code == 0
    assert "x.spacy 1 3 0 2 1 1" in output
    assert "1 entities do not start and end at tokens" in output


def test_command_line(tmp_path):
    source = write(tmp_path / "train.conllu", CONLLU)
    code, output = run_cli(source, tmp_path / "new" / "train.spacy", "--n-sents", "2")
    assert code == 0, output
    assert len(read(tmp_path / "new" / "train.spacy")) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["train.spacy"]


def test_command_line_error_leaves_output(tmp_path):
    source = write(tmp_path / "x.iob", "a O\nb O\nc X-foo\n")
    output = write(tmp_path / "out" / "x.spacy", OLD)
    done = run_process(source, output)
    assert done.returncode == 1
    assert "x.iob, line 3: invalid tag 'X-foo'" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
    assert output.read_bytes() == OLD
    assert list(output.parent.iterdir()) == [output]


def test_error_in_a_later_file_leaves_all_outputs(tmp_path):
    write(tmp_path / "in" / "a.iob", "a O\n")
    write(tmp_path / "in" / "b.iob", "a O O\nb O\n")
    old = write(tmp_path / "out" / "a.spacy", OLD)
    assert run_cli(tmp_path / "in", tmp_path / "out")[0] == 1
    assert old.read_bytes() == OLD
    assert list(old.parent.iterdir()) == [old]
    assert run_cli(tmp_path / "in", tmp_path / "fresh")[0] == 1
    assert not (tmp_path / "fresh").exists()


def test_write_error_leaves_all_outputs(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.iob", "a O\n")
    old = write(tmp_path / "out" / "a.spacy", OLD)
    (tmp_path / "out" / "b.spacy").mkdir()
    code, output = run_cli(tmp_path / "in", tmp_path / "out")
    assert (code, "b.spacy is a folder" in output) == (1, True)
    assert old.read_bytes() == OLD
    assert sorted(path.name for path in old.parent.iterdir()) == ["a.spacy", "b.spacy"]


def test_output_is_replaced(tmp_path):
    output = write(tmp_path / "x.spacy", OLD)
    assert run_cli(write(tmp_path / "x.iob", "a O\n"), output)[0] == 0
    assert [doc.text for doc in read(output)] == ["a"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--text", "body"], "--text: the format is iob, the option is for table"),
        (["--lang", "xx-none"], "--lang: spaCy cannot make a pipeline for 'xx-none'"),
        (["--format", "conllu"], "x.iob, line 1: expected 10 tab-separated columns"),
    ],
)
def test_option_errors(tmp_path, args, message):
    code, output = run_cli(write(tmp_path / "x.iob", "a O\n"), tmp_path / "x.spacy", *args)
    assert (code, message in output) == (1, True), output


def test_one_file_for_several_inputs(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.iob", "a O\n")
    code, output = run_cli(tmp_path / "in", tmp_path / "x.spacy")
    assert (code, "the input becomes 2 files, expected a folder" in output) == (1, True)


def test_help_has_examples():
    code, output = run_cli("--help")
    assert code == 0
    assert "reviews.csv corpus/ --text body --label topic --label mood" in output


# What users ran into


def test_conllu_fuzzed_files_fail_with_file_and_line(tmp_path, nlp):
    rng = random.Random(0)
    signs = ["=", "|", "_", "\t", "\n", "-", ".", "1", "0", "x", " ", "", "²", "٣", "\u3000", "\x00", "\ud7ff"]
    path = tmp_path / "x.conllu"
    messages = []
    for _ in range(3000):
        text = CONLLU
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(text))
            text = text[:place] + rng.choice(signs) + text[place + rng.randint(0, 4) :]
        path.write_text(text, encoding="utf8")
        try:
            list(convert_conllu(path, nlp.vocab, ner_key="name"))
        except ConversionError as error:
            messages.append(str(error))
    assert messages
    assert all(message.startswith(str(path)) for message in messages)


@pytest.mark.parametrize("feats", ["Case", "Case=Nom|Person", "Case=Nom|", "a=b=c"])
def test_conllu_features_without_equals(tmp_path, nlp, feats):
    path = write(tmp_path / "x.conllu", CONLLU.replace("Case=Nom|Person=1", feats))
    with pytest.raises(ConversionError, match=r"line 3: FEATS is .* expected Name=Value"):
        list(convert_conllu(path, nlp.vocab))


def test_iob_folder_of_txt_files_and_names_of_dev(tmp_path):
    for name in ("train", "valid", "test"):
        write(tmp_path / "in" / f"{name}.txt", "Ada B-PER\n\nhere O\n")
    code, output = run_cli(tmp_path / "in", tmp_path / "out", "--format", "iob")
    assert code == 0, output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["dev.spacy", "test.spacy", "train.spacy"]
    write(tmp_path / "in" / "validation.txt", "Ada B-PER\n")
    assert "would both become dev.spacy" in run_cli(tmp_path / "in", tmp_path / "out", "--format", "iob")[1]


def test_iob_without_blank_lines(tmp_path, nlp):
    path = write(tmp_path / "x.iob", "a O\n" * 501)
    with pytest.raises(ConversionError, match=r"x\.iob: 501 tokens without a blank line .* put a blank line after"):
        list(convert_iob(path, nlp.vocab))
    assert len(list(convert_iob(write(path, "a O\n" * 501 + "\nb O\n"), nlp.vocab))) == 2


def test_joint_labels_in_any_order_are_one_class(tmp_path, nlp):
    docs = list(convert_joint(write_joint(tmp_path, "a\nb\nc", "O\nO\nO", "x#y\ny#x\nc#"), nlp.vocab))
    assert [doc.cats for doc in docs] == [{"c#": 0.0, "x#y": 1.0}] * 2 + [{"c#": 1.0, "x#y": 0.0}]
