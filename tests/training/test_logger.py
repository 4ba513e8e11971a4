"""spacy_mtl.Logger.v1: its table at several widths, its file, also of a resumed training, its bar, and the loggers it
feeds.
"""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from pipelines import heads_config
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config
from thinc.api import Config
from toy import ENCODER, make_toy, toy_config

from spacy_mtl.training.log_columns import Column, LogColumns
from spacy_mtl.training.log_table import LogTable
from spacy_mtl.training.logger import make_logger_v1

KEYS = {"epoch", "step", "words", "seconds", "score", "losses", "scores", "heads", "balance"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def seen_config(config: Config, **logger) -> Config:
    """The config with the logger, which also feeds one that notes down all it sees."""
    loggers = {"seen": {"@loggers": "tests.Seen.v1"}}
    config["training"]["logger"] = {"@loggers": "spacy_mtl.Logger.v1", "loggers": loggers} | logger
    return config


SEEN: list = []


@spacy.registry.loggers("tests.Seen.v1")
def make_seen():
    def setup(nlp, stdout, stderr):
        SEEN.clear()

        def log_step(info):
            SEEN.append(info if info is None else {**info, "losses": dict(info["losses"])})

        return log_step, lambda: SEEN.append("finalized")

    return setup


def run(config: Config) -> list[str]:
    """Train. RETURNS: the lines of the table."""
    stdout, stderr = io.StringIO(), io.StringIO()
    train(init_nlp(config), stdout=stdout, stderr=stderr)
    assert stderr.getvalue() == "", "a progress bar where there is no terminal"
    lines = stdout.getvalue().splitlines()
    return lines[next(i for i, line in enumerate(lines) if "learn rate" in line) + 1 :]


def words_of(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]


def test_each_head_has_a_column_and_the_file_has_what_spacy_says(toy, tmp_path):
    path = tmp_path / "logs" / "steps.jsonl"
    config = seen_config(toy_config(toy, max_steps=7, eval_frequency=5), path=str(path))
    config["training"]["score_weights"] = {"multitask_exact": 0.5, "slots_f": 0.5, "multitask_score": None}
    *header, rule, first, second = words_of(run(config))
    assert header[-2] == ["intent", "slots", "multitask", "intent", "slots", "multitask"]
    assert header[-1] == ["epoch", "step", "score", "acc", "f", "exact", "loss", "loss", "loss"]
    assert len(rule) == len(header[-1])
    lines = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    infos = [info for info in SEEN if isinstance(info, dict)]
    assert [line["step"] for line in lines] == [info["step"] for info in infos] == [0, 5]
    for line, info, shown, n_steps in zip(lines, infos, (first, second), (1, 5), strict=True):
        assert line.keys() == KEYS
        assert (line["words"], line["score"], line["epoch"]) == (info["words"], info["score"], info["epoch"])
        assert line["losses"] == {key: pytest.approx(value / n_steps) for key, value in info["losses"].items()}
        assert line["scores"]["slots_f"] == info["other_scores"]["slots_f"]
        assert "slots_f_per_type" not in line["scores"]
        balance = line["balance"]["multitask"]
        assert balance["steps"] == n_steps
        assert balance["heads"]["slots"]["loss"] == pytest.approx(line["losses"]["multitask/slots"])
        assert float(shown[3]) == pytest.approx(100 * line["scores"]["intent_acc"], abs=0.006)
        assert float(shown[6]) == pytest.approx(line["losses"]["multitask/intent"], abs=0.006)
    assert 0 < lines[0]["seconds"] < lines[1]["seconds"]
    assert SEEN.count(None) == 6
    assert SEEN[-1] == "finalized"


def test_two_components_with_heads_and_one_of_spacy(toy):
    config = seen_config(toy_config(toy, heads_config(intent={"kind": "DocClassifier"}), max_steps=2))
    heads = heads_config(slots={"kind": "EntityRecognizer"})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    config["components"]["second"] = {"factory": "multitask", "heads": heads, "model": model}
    config["components"]["ner"] = {"factory": "ner"}
    config["nlp"]["pipeline"] = ["multitask", "second", "ner"]
    config["training"]["score_weights"] = {"ents_f": 1.0, "multitask_score": None, "ents_p": None, "ents_r": None}
    names, metrics = words_of(run(config))[:2]
    assert names[:2] == ["intent", "slots"]
    assert metrics[3:5] == ["acc", "f"]
    assert "ents" in names[2:-5]
    assert names[-5:] == ["intent", "slots", "ner", "multitask", "second"]


def test_a_pipeline_without_heads(toy):
    config = seen_config(toy_config(toy, max_steps=2, score_weights={"cats_score": 1.0}))
    config["components"] = {"textcat": {"factory": "textcat"}}
    config["nlp"]["pipeline"] = ["textcat"]
    header, titles, _, first = words_of(run(config))
    assert (header, titles[3:], len(first)) == (["cats", "textcat"], ["score", "loss"], 5)


def test_a_frozen_component_and_a_score_that_is_missing(toy):
    """Its head still scores, but is not trained; the other head has no gold in dev."""
    heads = heads_config(intent={"kind": "DocClassifier"}, tags={"kind": "Tagger"})
    nlp = spacy.blank("xx")
    nlp.add_pipe("multitask", config={"heads": heads})
    nlp.initialize(lambda: [spacy.training.Example(doc, doc) for doc in [tagged(nlp)]])
    names, metrics, _, values = words_of(run_with(nlp, toy, frozen=["multitask"]))
    assert names.count("intent") == names.count("tags") == 1
    assert metrics[-1] == "loss"
    assert metrics.count("loss") == 1
    assert values[3 + names.index("tags")] == "-"


def tagged(nlp):
    doc = spacy.tokens.Doc(nlp.vocab, words=["a", "b"], tags=["X", "Y"])
    doc.cats = {"play": 1.0, "ask": 0.0}
    return doc


def run_with(nlp, toy, frozen):
    """Train an entity recognizer after the components of `nlp`."""
    nlp.add_pipe("ner")
    config = nlp.config.copy()
    config["corpora"] = toy_config(toy)["corpora"]
    config["training"] |= {
        "max_steps": 1,
        "frozen_components": frozen,
        "score_weights": {"intent_acc": 1.0, "tags_acc": 0.0},
    }
    nlp.config = seen_config(config)
    nlp.initialize(lambda: [spacy.training.Example(doc, doc) for doc in [tagged(nlp)]])
    stdout = io.StringIO()
    train(nlp, stdout=stdout, stderr=io.StringIO())
    return stdout.getvalue().splitlines()[-4:]


def many(n_heads: int) -> LogColumns:
    names = [f"customer_feedback_topic_{number}" for number in range(n_heads)]
    return LogColumns(
        scores=[Column(f"{name}_acc", (name, "acc")) for name in names],
        head_losses=[Column(f"multitask/{name}", (name, "loss")) for name in names],
        other_losses=[Column("ner", ("ner", "loss"))],
        totals=[Column("multitask", ("multitask", "loss"))],
    )


@pytest.mark.parametrize("width", [40, 80, 100, 120, 300])
@pytest.mark.parametrize("n_heads", [0, 1, 2, 5, 8, 20])
def test_the_table_fits_and_loses_no_head(n_heads, width):
    columns = many(n_heads)
    table = LogTable(columns, width)
    values = {column.key: 100.0 for column in columns.scores} | {"multitask": 12345.678}
    body = table.lines(12, 123456, 100.0, values)
    assert max(map(len, [*table.header(), *body])) <= width
    assert sum(line.count("100.00") for line in body) == n_heads + 1
    shown = [column.key for row in table.rows for column in (cell.column for cell in row)]
    assert shown[:n_heads] == [column.key for column in columns.scores]
    for row in table.rows:
        for cell in row:
            assert "".join(cell.title) == "".join(cell.column.title), "a name was cut"


@pytest.mark.parametrize(
    ("width", "left"),
    [(300, ["topics", "ner", "multitask"]), (108, ["topics", "ner"]), (80, ["ner", "multitask"]), (64, [])],
)
def test_totals_go_first_then_the_losses_of_heads_then_all_losses(width, left):
    columns = many(4)
    (row,) = LogTable(columns, width).rows
    losses = [cell.column.key for cell in row[4:]]
    expected = {"topics": [column.key for column in columns.head_losses], "ner": ["ner"], "multitask": ["multitask"]}
    assert losses == [key for name in left for key in expected[name]]


def test_numbers_that_are_missing_or_large_keep_their_column():
    columns = LogColumns([Column("a", ("a",)), Column("b", ("b",)), Column("speed", ("speed",))], [], [], [])
    table = LogTable(columns, 80)
    (line,) = table.lines(0, 0, 0.0, {"b": 123456.7, "speed": 1234567.0})
    assert line.split()[3:] == ["-", "123457", "1e+06"]
    assert len(line) == len(table.header()[-1])


def test_a_training_that_is_resumed_goes_on_in_its_file(toy, tmp_path):
    """The state is of step 6; steps 6 and later were logged, and one line was cut off by the kill."""
    state, path = tmp_path / "state", tmp_path / "steps.jsonl"
    config = seen_config(toy_config(toy, max_steps=8, eval_frequency=2), path=str(path))
    config["training"]["logger"]["state"] = str(state)
    config["training"]["optimizer"] = {"@optimizers": "spacy_mtl.Optimizer.v1", "state": str(state)}
    config["training"]["before_update"] = {"@callbacks": "spacy_mtl.TrainingState.v1", "path": str(state), "every": 6}
    run(config)
    before = read(path)
    assert [line["step"] for line in before] == [0, 2, 4, 6, 8]
    path.write_text(path.read_text(encoding="utf8")[:-20], encoding="utf8")
    config["training"]["before_update"] |= {"resume": True, "every": 0}
    config["training"]["logger"] |= {"resume": True}
    config["training"]["max_steps"] = 4
    table = run(config)
    after = read(path)
    assert [line["step"] for line in after] == [0, 2, 4, 6, 8, 10]
    assert after[:3] == before[:3]
    assert [line["balance"]["multitask"]["steps"] for line in after] == [1, 2, 2, 2, 2, 2]
    assert [words[1] for words in words_of(table)[-3:]] == ["6", "8", "10"]
    for key in ("words", "seconds"):
        assert [line[key] for line in after] == sorted(line[key] for line in after)
    config["training"]["before_update"] |= {"resume": False}
    config["training"]["logger"] |= {"resume": False}
    run(config)
    assert [line["step"] for line in read(path)] == [0, 2, 4], "a training that begins replaces the file"


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


@pytest.mark.parametrize("text", ["my notes\n", '{"step": 1}\n', "[1]\n{}"])
def test_a_file_of_something_else_stays_as_it_is(text, toy, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=r"notes\.txt, line 1: this is no evaluation .* give another path"):
        run(seen_config(toy_config(toy, max_steps=1), path=str(path)))
    assert path.read_text(encoding="utf8") == text
    assert SEEN == ["finalized"]


def test_resume_needs_a_state(tmp_path):
    with pytest.raises(ValueError, match="resume is true without state"):
        make_logger_v1(resume=True)
    setup, _ = make_logger_v1(resume=True, state=str(tmp_path)), None
    with pytest.raises(ValueError, match="no state to resume from"):
        setup(spacy.blank("xx"), io.StringIO(), io.StringIO())


def test_what_is_no_logger_is_named():
    with pytest.raises(ValueError, match="'wandb' is 'yes', which is no logger; give it a section with @loggers"):
        make_logger_v1(loggers={"wandb": "yes"})


def test_loggers_of_spacy_get_all_steps_and_are_closed_when_a_training_fails(toy, tmp_path):
    path = tmp_path / "console.jsonl"
    config = seen_config(toy_config(toy, max_steps=4, eval_frequency=2), console_output=False)
    config["training"]["logger"]["loggers"]["a"] = {
        "@loggers": "spacy.ConsoleLogger.v3",
        "output_file": str(path),
    }
    lines = run(config)
    assert any("LOSS MULTI" in line for line in lines)
    assert [line["step"] for line in read(path)] == [0, 2, 4]
    config["training"]["score_weights"] = {"slots_f_per_type": 1.0}  # no number
    path.unlink()
    with pytest.raises(ValueError, match="score"):
        run(config)
    assert SEEN == ["finalized"]


def test_in_a_terminal_there_is_a_bar_with_the_speed(toy, tmp_path):
    if shutil.which("script") is None or sys.platform != "linux":
        pytest.skip("needs util-linux")
    config = seen_config(toy_config(toy, max_steps=60, eval_frequency=30))
    config["training"]["logger"]["loggers"] = {}
    config.to_disk(tmp_path / "config.cfg")
    command = [sys.executable, "-m", "spacy", "train", str(tmp_path / "config.cfg")]
    terminal = ["script", "-qec", f"stty rows 24 cols 80; {shlex.join(command)}", os.devnull]
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    shown = subprocess.run(terminal, capture_output=True, timeout=300, check=True, env=environment).stdout.decode()
    assert re.search(r"\d+/30 .*[\d,]+ words/s", shown)


def test_the_configs_use_it():
    paths = sorted((Path(__file__).parents[2] / "configs").glob("*.cfg"))
    assert paths
    for path in paths:
        assert load_config(path)["training"]["logger"]["@loggers"] == "spacy_mtl.Logger.v1"
