"""A comparison from config to report.json: what is trained, what is kept, and what stops it before anything trains."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import spacy
from engines import QUICK
from multi import write
from pipelines import heads_config
from spacy.tokens import DocBin
from spacy.util import registry
from spacy.vocab import Vocab
from toy import make_docs, make_toy, toy_config

from spacy_mtl.comparison.compare import MARKER, REPORT, RUNS, Running, compare
from spacy_mtl.comparison.planning import Settings, make_plan
from spacy_mtl.comparison.result import read_comparison
from spacy_mtl.experiments.output_folder import claim
from spacy_mtl.experiments.run_folder import LOG, MODEL, RESULT, read_steps
from spacy_mtl.experiments.stored_tokens import load_docs
from spacy_mtl.experiments.worker import carry_out
from spacy_mtl.readers.corpus import Corpus
from spacy_mtl.report.from_comparison import data_of_comparison
from spacy_mtl.report.page import make_page

HEADS = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
STEPS = {"max_steps": 6, "eval_frequency": 3}
# Seconds after which a process counts as hanging, on a busy machine.
LONG = 600


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    return make_toy(folder, n_gold=30) | {"test": write(folder / "test.spacy", make_docs(40, 5))}


@pytest.fixture
def config(paths):
    return toy_config(paths, HEADS, **STEPS)


def run(config, output, *, running=QUICK, name="toy.cfg", **settings):
    return compare(config, output, Settings(**{"seeds": 1} | settings), running, name=name)


@pytest.fixture(scope="module")
def finished(paths, tmp_path_factory):
    """The folder of a comparison with all its runs; tests work on copies."""
    output = tmp_path_factory.mktemp("finished") / "out"
    run(toy_config(paths, HEADS, **STEPS), output)
    return output


def copy_of(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


def without_times(output):
    """The text of the report without what is measured."""
    report = json.loads((output / REPORT).read_text())
    report.pop("measured")
    return json.dumps(report, sort_keys=True)


def write_config(config, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config.to_disk(folder / "toy.cfg")
    return folder / "toy.cfg"


def start(path, output, *arguments):
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "spacy", "mtl", "compare", str(path), "--output", str(output), *arguments]
    # Where the tests run in the background of a shell, SIGINT is ignored, and processes that they start inherit that.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_a_run(output, process):
    """Wait until a process works on a run."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        if any(not (log.parent / RESULT).exists() and log.stat().st_size for log in output.glob(f"{RUNS}/*/{LOG}")):
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    raise AssertionError("no run has begun")


def test_a_run_leaves_what_others_read(config, paths, tmp_path):
    result = run(config, tmp_path / "out", test=str(paths["test"]))
    assert [one.system for one in result.runs] == ["joint", "intent alone", "slots alone"]
    assert read_comparison(tmp_path / "out" / REPORT).to_json() == result.to_json()
    n_words = sum(len(doc) for doc in DocBin().from_disk(paths["train"]).get_docs(Vocab()))
    n_docs = result.corpora["train"]["train"]["docs"]
    assert result.corpora["train"]["train"]["heads"] == {
        "intent": {"docs": n_docs, "units": n_docs},
        "slots": {"docs": n_docs, "units": n_words},
    }
    assert result.corpora["dev"]["dev"]["heads"]["slots"] == {"docs": 60, "units": None}
    for one in result.runs:
        folder = tmp_path / "out" / one.folder
        assert one.status == "finished"
        nlp = spacy.load(folder / MODEL)
        assert list(nlp.get_pipe("multitask").heads) == one.heads
        assert [step["step"] for step in read_steps(folder)] == [0, 3, 6]
        assert str(tmp_path) not in (folder / MODEL / "config.cfg").read_text()
        assert json.loads((folder / "run.json").read_text())["key"].startswith(one.name[-12:])
        for split, n_docs in (("dev", 60), ("test", 40)):
            predicted = list(DocBin().from_disk(folder / f"{split}.spacy").get_docs(nlp.vocab))
            gold = list(DocBin().from_disk(paths[split]).get_docs(nlp.vocab))
            assert [doc.text for doc in predicted] == [doc.text for doc in gold]
            assert len(predicted) == n_docs
            with np.load(folder / f"judged-{split}.npz") as judged:
                assert sorted(judged.files) == sorted(one.heads)
                for key, head in nlp.get_pipe("multitask").heads.items():
                    score = one.scores[split][f"{key}_{head.main_score}"]
                    assert head.main_score_of(judged[key].sum(axis=0)) == pytest.approx(score)
            docs = load_docs(folder, split, nlp.vocab)
            assert [(doc.text, len(doc)) for doc in docs] == [(doc.text, len(doc)) for doc in gold]
        assert one.cost["parameters"] > 0
        assert one.cost["steps"] == 6


def test_its_config_can_be_trained_by_spacy(config, tmp_path):
    result = run(config, tmp_path / "out")
    folder = tmp_path / "out" / result.runs[1].folder
    shutil.copytree(folder, tmp_path / "copy")
    before = json.loads((folder / RESULT).read_text())["scores"]["dev"]
    for part in (RESULT, MODEL):
        shutil.rmtree(folder / part, ignore_errors=True)
    carry_out(folder)
    assert json.loads((folder / RESULT).read_text())["scores"]["dev"] == before


def test_finished_runs_are_used_again(config, finished, tmp_path):
    output = copy_of(finished, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in output.glob(f"{RUNS}/*/{RESULT}")}
    run(config, output)
    assert without_times(output) == without_times(finished)
    result = run(config, output, seeds=2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(result.runs) == 6
    assert result.seeds == [3, 4]


@pytest.mark.parametrize(
    ("place", "value"), [(("training", "dropout"), 0.2), (("components", "multitask", "weighting", "weights"), {})]
)
def test_another_setting_is_another_run(config, tmp_path, place, value):
    first = {one.key for one in make_plan(config, Settings(seeds=1)).runs}
    *parents, last = place
    section = config
    for key in parents:
        section = section[key]
    changed = section.get(last) != value
    section[last] = value
    second = {one.key for one in make_plan(config, Settings(seeds=1)).runs}
    assert (first.isdisjoint(second)) is changed


def test_the_contents_of_the_data_count_and_not_its_place(config, paths, tmp_path):
    first = [one.key for one in make_plan(config, Settings(seeds=1)).runs]
    for split in ("train", "dev"):
        shutil.copy(paths[split], tmp_path / f"{split}.spacy")
        config["corpora"][split]["path"] = str(tmp_path / f"{split}.spacy")
    assert [one.key for one in make_plan(config, Settings(seeds=1)).runs] == first
    write(tmp_path / "train.spacy", make_docs(31, 0))
    assert not set(first) & {one.key for one in make_plan(config, Settings(seeds=1)).runs}


def test_an_unfinished_run_is_trained_anew(config, finished, tmp_path):
    output = copy_of(finished, tmp_path)
    (broken,) = output.glob(f"{RUNS}/intent-alone*")
    (broken / RESULT).unlink()
    (broken / "dev.spacy").write_text("half a file")
    run(config, output)
    assert without_times(output) == without_times(finished)
    assert DocBin().from_disk(broken / "dev.spacy")


def test_a_failing_run_does_not_stop_the_others(config, paths, tmp_path):
    @registry.readers("fails_alone")
    def make_reader(path: str):
        def read(nlp):
            if list(nlp.get_pipe("multitask").heads) == ["slots"]:
                raise ValueError("the disk is on fire")
            return Corpus(Path(path))(nlp)

        return read

    config["corpora"]["train"] = {"@readers": "fails_alone", "path": str(paths["train"])}
    result = run(config, tmp_path / "out")
    assert [one.status for one in result.runs] == ["finished", "finished", "failed"]
    (failure,) = result.failures
    assert failure.run == result.runs[2].name
    assert "the disk is on fire" in failure.message


def test_the_processes_of_runs_and_the_costs(config, finished, tmp_path, capfd):
    output = copy_of(finished, tmp_path)
    for result in [*output.glob(f"{RUNS}/joint*/{RESULT}"), *output.glob(f"{RUNS}/slots*/{RESULT}")]:
        result.unlink()
    result = run(config, output, running=Running(jobs=3))
    assert {one.status for one in result.runs} == {"finished"}
    costs = {cost.system: cost for cost in result.costs}
    assert list(costs) == ["joint", "intent alone", "slots alone", "single"]
    assert costs["single"].parameters == costs["intent alone"].parameters + costs["slots alone"].parameters
    assert costs["joint"].parameters < costs["single"].parameters
    assert all(cost.words_per_second > 0 for cost in result.costs)
    assert {name for name, cost in costs.items() if cost.memory_bytes} == {"joint", "single"}
    lines = capfd.readouterr().err.splitlines()
    assert "joint, seed 3: started" in lines
    assert any(line.startswith("slots alone, seed 3: finished after") for line in lines)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, REPORT, RUNS]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_what_is_finished_is_kept_when_the_process_is_killed(config, finished, tmp_path, sent):
    output = copy_of(finished, tmp_path)
    for result in list(output.glob(f"{RUNS}/*alone*/{RESULT}")):
        result.unlink()
    process = start(write_config(config, tmp_path), output, "--seeds", "1", "--no-cost")
    wait_for_a_run(output, process)
    process.send_signal(sent)
    printed, _ = process.communicate(timeout=LONG)
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on with the others" in " ".join(printed.split())
    # the lock is free only when no child is left that could write
    with claim(output, MARKER):
        done = {path: path.stat().st_mtime_ns for path in output.glob(f"{RUNS}/*/{RESULT}")}
        logs = {path: path.read_bytes() for path in output.glob(f"{RUNS}/*/{LOG}")}
        time.sleep(0.5)
        assert {path: path.read_bytes() for path in logs} == logs
    assert 0 < len(done) < 3
    run(config, output)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert without_times(output) == without_times(finished)


def test_two_at_once_do_not_write_to_one_folder(config, tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mtl.experiments.output_folder.PATIENCE", 0.2)
    with claim(tmp_path / "out", MARKER), pytest.raises(ValueError, match="another process is working"):
        run(config, tmp_path / "out")


def refuses(config, tmp_path, message, **settings):
    """Expect an error before anything is trained or written."""
    with pytest.raises(ValueError, match=message):
        run(config, tmp_path / "out", **settings)
    assert not (tmp_path / "out" / RUNS).exists()


def test_files_of_others_are_left_alone(config, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("ten years of work")
    refuses(config, tmp_path, "holds files that are not results of this command")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "ten years of work"


def test_a_folder_that_only_looks_like_a_run_is_left_alone(config, finished, tmp_path):
    output = copy_of(finished, tmp_path)
    (folder,) = output.glob(f"{RUNS}/joint*")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("ten years of work")
    with pytest.raises(ValueError, match=r"is not the folder of a run, since it has no run\.json"):
        run(config, output)
    assert (folder / "thesis.txt").exists()


def test_a_file_as_output(config, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        run(config, tmp_path / "out")


def test_one_head(paths, tmp_path):
    config = toy_config(paths, {"intent": HEADS["intent"]}, **STEPS)
    refuses(config, tmp_path, r"has the heads \['intent'\].*needs at least two")


def test_no_component(paths, tmp_path):
    config = toy_config(paths, HEADS, **STEPS)
    config["nlp"]["pipeline"] = []
    refuses(config, tmp_path, "has 0 components multitask")


def test_two_components(config, tmp_path):
    config["nlp"]["pipeline"] = ["multitask", "second"]
    config["components"]["second"] = {"factory": "multitask"}
    refuses(config, tmp_path, "has 2 components multitask")


def test_another_component_that_is_trained(config, tmp_path):
    config["nlp"]["pipeline"] = ["multitask", "tagger"]
    config["components"]["tagger"] = {"factory": "tagger"}
    refuses(config, tmp_path, r"the components \['tagger'\] are trained beside 'multitask'")
    config["training"]["frozen_components"] = ["tagger"]
    assert len(make_plan(config, Settings(seeds=1)).runs) == 3


def test_a_missing_corpus(config, tmp_path):
    config["corpora"]["train"]["path"] = str(tmp_path / "none.spacy")
    refuses(config, tmp_path, r"none\.spacy")


def test_a_broken_corpus(config, tmp_path):
    (tmp_path / "dev.spacy").write_bytes(b"no docs")
    config["corpora"]["dev"]["path"] = str(tmp_path / "dev.spacy")
    refuses(config, tmp_path, r"corpus 'dev'.*dev\.spacy")


def test_a_missing_test_set(config, tmp_path):
    refuses(config, tmp_path, "--test: nowhere is neither a file", test="nowhere")
    refuses(config, tmp_path, "--test is 'corpora.nowhere', but the config has no such section", test="corpora.nowhere")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_head_without_gold(config, tmp_path, paths, split):
    docs = make_docs(20, 9)
    for doc in docs:
        doc.cats = {}
    path = write(tmp_path / "bare.spacy", docs)
    if split != "test":
        config["corpora"][split]["path"] = str(path)
    test = path if split == "test" else paths["test"]
    refuses(config, tmp_path, f"head 'intent': no doc of {split} carries its annotation", test=str(test))


def test_heads_that_are_never_alone(paths, tmp_path):
    heads = {**HEADS, "slots": HEADS["slots"] | {"condition_on": "intent"}}
    config = toy_config(paths, heads, **STEPS)
    plan = make_plan(config, Settings(seeds=1))
    assert [system.name for system in plan.systems] == ["joint", "intent alone"]
    assert "--detach" in plan.replaced["slots"]
    detached = make_plan(config, Settings(seeds=1, detach=True))
    assert [system.name for system in detached.systems] == ["joint", "intent alone", "slots alone"]
    heads["intent"] = HEADS["intent"]


def test_pairs_and_all_but_one(paths):
    heads = HEADS | heads_config(names={"kind": "EntityRecognizer", "spans_key": "names"})
    docs = make_docs(20, 3)
    for doc in docs:
        doc.spans["names"] = [ent for ent in doc.ents if ent.label_ == "name"]
    files = {split: write(paths["train"].with_name(f"names-{split}.spacy"), docs) for split in ("train", "dev")}
    config = toy_config(paths | files, heads, **STEPS)
    plan = make_plan(config, Settings(seeds=1, pairs=True, leave_one_out=True))
    assert [system.name for system in plan.systems] == [
        "joint",
        *("intent alone", "slots alone", "names alone"),
        *("intent+slots", "intent+names", "slots+names"),
        *("without intent", "without slots", "without names"),
    ]


def test_runs_cannot_share_the_state_of_a_training(config, tmp_path):
    state = str(tmp_path / "state")
    config["training"]["optimizer"] = {"@optimizers": "spacy_mtl.Optimizer.v1", "state": state}
    config["training"]["before_update"] = {"@callbacks": "spacy_mtl.TrainingState.v1", "path": state}
    refuses(config, tmp_path, "training.before_update saves the state of the training")


def test_no_seed(config, tmp_path):
    config["training"]["seed"] = None
    refuses(config, tmp_path, "training.seed is null")


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Toy data with a number beside the classes, which says how long a text is."""
    folder = tmp_path_factory.mktemp("rated")
    paths = {}
    for seed, (split, n_docs) in enumerate((("train", 30), ("dev", 20), ("test", 25))):
        docs = make_docs(n_docs, seed)
        for doc in docs:
            doc.cats = doc.cats | {"length": len(doc) / 4}
        paths[split] = write(folder / f"{split}.spacy", docs)
    return paths


def test_a_head_of_which_no_doc_is_right_or_wrong(rated, tmp_path):
    """A regressor's verdicts rest on the correlation; nothing in the files is NaN, which JSON does not have."""
    heads = heads_config(intent={"kind": "DocClassifier"}, size={"kind": "Regressor", "numbers": ["length"]})
    output = tmp_path / "out"
    result = run(toy_config(rated, heads, **STEPS), output, seeds=2, test=str(rated["test"]))
    size = next(one for one in result.differences if one.head == "size" and one.split == "test")
    assert size.metric == "size_pearson"
    assert size.verdict != "not measured"
    assert size.low < size.difference < size.high
    assert 0 < size.p <= size.p_corrected <= 1
    assert size.scores == [one.scores["test"]["size_pearson"] for one in result.runs if one.system == "joint"]
    assert result.relative_improvement["test"].value is not None
    alone = next(one for one in result.runs if one.system == "size alone")
    assert alone.scores["test"]["multitask_exact"] is None
    for path in output.rglob("*.json*"):
        for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            json.loads(line, parse_constant=pytest.fail)
    page = make_page(data_of_comparison(output))
    assert "nan" not in page.lower().split("</style>")[1].split("<script")[0]
