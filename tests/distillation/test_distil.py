"""A whole distillation, its cached answers, and what it refuses."""

import json
import re
import resource
import shutil

import engines  # noqa: F401  (registers the engine)
import numpy as np
import pytest
import spacy
from pipelines import LISTENER, heads_config
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config, resolve_dot_names
from teachers import multitask_teacher, native_teacher
from thinc.api import Config
from toy import ENCODER, make_docs, make_toy, toy_config
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.distillation import teacher_pass
from spacy_mtl.distillation.augmented_texts import AugmentedTexts
from spacy_mtl.distillation.distil import Carrying, Distillation, distil
from spacy_mtl.distillation.distil_plan import make_plan
from spacy_mtl.distillation.distil_settings import DistilSettings, TeacherName
from spacy_mtl.distillation.taught_docs import TaughtCounts
from spacy_mtl.distillation.teacher_pipeline import Teacher
from spacy_mtl.origin import is_augmented
from spacy_mtl.readers.stored_targets import StoredTargets
from spacy_mtl.readers.target_shard import key_of
from spacy_mtl.readers.taught_corpus import make_taught_corpus_v1
from spacy_mtl.teaching import teaching_of

FEW = {"max_steps": 4, "eval_frequency": 4}


def fails(*parts, error=ValueError):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(teacher_pass, "SHARD_SIZE", 16)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    paths = make_toy(folder, n_raw=40)
    for name, nlp in {"joint": multitask_teacher(), "native": native_teacher("textcat", "ner", steps=12)}.items():
        nlp.to_disk(folder / name)
        paths[name] = folder / name
    return paths


def counts(report, name):
    return {(row["texts"], row["head"]): row[name] for row in report.taught}


def settings_of(paths, *names, **settings):
    """Settings with teachers as "intent=joint"."""
    teachers = [TeacherName.parse(name) for name in names or ("intent=native", "slots=joint")]
    teachers = [TeacherName(one.head, str(paths[one.path]), one.source) for one in teachers]
    return DistilSettings(teachers, **({"texts": [paths["raw"]]} | settings))


def prepared(paths, output, *names, config=None, say=None, **settings):
    """A run whose teachers have answered. RETURNS: it and the configs of the trainings."""
    plan = make_plan(config or toy_config(paths, **FEW), settings_of(paths, *names, **settings))
    output.mkdir(exist_ok=True)
    work = Distillation(plan, output, Carrying(say=say or (lambda text: None)))
    work.ask_teachers()
    return work, work.make_configs()


def test_from_teachers_to_student(paths, tmp_path, monkeypatch):
    lines = []
    carrying = Carrying(engine="in_this_process", say=lines.append)
    settings = settings_of(paths, baseline=True)
    report = distil(toy_config(paths, **FEW), tmp_path, settings, carrying)
    names = [row.name for row in report.systems]
    assert names == ["teacher of intent", "teacher of slots", "student", "gold alone"]
    assert all(row.bytes > 0 for row in report.systems)
    assert list(report.systems[0].scores) == ["intent"]
    assert counts(report, "soft") == {("raw", "intent"): 40, ("raw", "slots"): 40}
    nlp = spacy.load(tmp_path / "model-best")
    (reader,) = resolve_dot_names(nlp.config.interpolate(), ["corpora.dev"])
    scores = nlp.evaluate(list(reader(nlp)))
    student = report.systems[2].scores
    assert student == pytest.approx({"intent": scores["intent_acc"], "slots": scores["slots_f"]})
    written = json.loads((tmp_path / "report.json").read_text())
    assert [row["name"] for row in written["systems"]] == names
    assert "| student |" in (tmp_path / "report.md").read_text()

    def never(*args, **kwargs):
        raise AssertionError("a teacher was loaded again")

    monkeypatch.setattr(Teacher, "__init__", never)
    again = distil(toy_config(paths, **FEW), tmp_path, settings, carrying)
    assert [row.scores for row in again.systems] == [row.scores for row in report.systems]
    assert any("the answers of" in line for line in lines)


def test_the_student_reads_gold_raw_and_targets(paths, tmp_path):
    work, configs = prepared(paths, tmp_path, temperature=2.0, gold_share=0.2)
    nlp = init_nlp(configs["student"])
    (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
    examples = list(reader(nlp))
    assert len(examples) == 12 + 40
    teachings = [teaching_of(eg.reference) for eg in examples]
    assert all(set(one.targets) == {"intent", "slots"} for one in teachings)
    gold = [one for eg, one in zip(examples, teachings, strict=True) if eg.reference.cats]
    raw = [one for eg, one in zip(examples, teachings, strict=True) if not eg.reference.cats]
    assert (len(gold), len(raw)) == (12, 40)
    assert {(one.gold_share, one.anneal_steps) for one in gold} == {(0.2, 4)}
    assert {one.targets["slots"].temperature for one in teachings} == {2.0}
    losses = nlp.update(examples[:30], losses={})
    assert losses["multitask/intent"] > 0
    assert losses["multitask/slots"] > 0
    assert work.plan.pipe.label_data == nlp.get_pipe("multitask").label_data


def test_the_stored_targets_are_those_of_the_teacher(paths, tmp_path):
    work, _ = prepared(paths, tmp_path)
    plan = work.plan
    for texts in plan.texts:
        for one in work.passes[texts.name]:
            stored = StoredTargets(one.path)
            (name,) = one.key.sources
            teacher = Teacher(
                str(paths["joint" if name == "slots" else "native"]),
                [n for n in plan.settings.teachers if n.head == name],
                plan.pipe.heads,
                temperature=1.0,
                top=8,
            )
            docs = list(texts.read())
            answers, _ = teacher.answer(docs, plan.nlp)
            for doc, target in zip(docs, answers[name].targets, strict=True):
                found = stored.of(doc)[name]
                assert found.labels == target.labels
                np.testing.assert_array_equal(found.columns, target.columns)
                np.testing.assert_array_equal(found.steps, target.steps)
                np.testing.assert_allclose(found.values, target.values, rtol=2e-3, atol=2e-3)
                np.testing.assert_allclose(found.counts, target.counts, rtol=2e-3, atol=2e-3)
            assert stored.of(plan.nlp.make_doc("never seen before")) == {}
            for path in one.path.glob("*.npz"):
                with np.load(path, allow_pickle=False) as arrays:
                    assert all(arrays[key].dtype != object for key in arrays.files)
                    assert all(arrays[key].dtype == np.float16 for key in arrays.files if key.endswith("values"))


def test_a_killed_pass_goes_on_where_it_stopped(paths, tmp_path, monkeypatch):
    work, _ = prepared(paths, tmp_path / "whole", "slots=joint")
    (whole,) = work.passes["raw"]
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    killed = tmp_path / "killed" / "teachers" / whole.path.name
    (killed / "done.json").unlink()
    (killed / "000001.npz").unlink()
    (killed / ".000001.npz.tmp").write_bytes(b"half of it")
    first = (killed / "000000.npz").stat().st_mtime_ns
    counted = []
    answer = Teacher.answer
    monkeypatch.setattr(Teacher, "answer", lambda self, docs, nlp: counted.append(len(docs)) or answer(self, docs, nlp))
    work, _ = prepared(paths, tmp_path / "killed", "slots=joint")
    assert counted == [16]
    assert (killed / "000000.npz").stat().st_mtime_ns == first
    assert not list(killed.glob(".*"))
    ours, theirs = StoredTargets(killed), StoredTargets(whole.path)
    for doc in work.passes["raw"][0].texts.read():
        np.testing.assert_array_equal(ours.of(doc)["slots"].values, theirs.of(doc)["slots"].values)


def test_answers_of_another_model_or_texts_are_not_used(paths, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(paths["joint"], model)
    own = paths | {"mine": model}
    prepared(own, tmp_path / "out", "slots=mine")
    folders = sorted((tmp_path / "out" / "teachers").glob("slots-raw-*"))
    multitask_teacher(steps=2).to_disk(model)
    lines = []
    prepared(own, tmp_path / "out", "slots=mine", say=lines.append)
    assert len(list((tmp_path / "out" / "teachers").glob("slots-raw-*"))) == len(folders) + 1
    assert any(f"{folders[0].name} is of another pass (teacher changed)" in line for line in lines)
    lines = []
    prepared(own, tmp_path / "out", "slots=mine", say=lines.append, temperature=3.0)
    assert any("(temperature changed)" in line or "temperature changed" in line for line in lines)


def test_a_pass_that_is_not_complete_is_refused(paths, tmp_path):
    work, _ = prepared(paths, tmp_path, "slots=joint")
    folder = work.passes["raw"][0].path
    (folder / "done.json").unlink()
    with fails(str(folder), "no complete pass", "done.json"):
        StoredTargets(folder)


def test_a_full_disk_stops_it_and_it_goes_on(paths, tmp_path, monkeypatch):
    """A limit on the size of files stands in for the disk: writing fails in the middle in the same way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = teacher_pass.write_shard

    def limited(path, docs, answers):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if path.stem == "000000" else 600, hard))
        try:
            write(path, docs, answers)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(teacher_pass, "write_shard", limited)
    with fails("can't be written", "16 of 40 texts are kept", "make room", error=OSError):
        prepared(paths, tmp_path, "slots=joint", gold=False, anneal=False)
    (folder,) = (tmp_path / "teachers").iterdir()
    assert sorted(path.name for path in folder.glob("*.npz")) == ["000000.npz"]
    assert not list(folder.glob(".*"))
    monkeypatch.setattr(teacher_pass, "write_shard", write)
    work, _ = prepared(
        paths, tmp_path, "slots=joint", gold=False, anneal=False, labels="soft", config=both_labels(paths)
    )
    assert counts(work.report, "soft") == {("raw", "slots"): 40}


def both_labels(paths):
    """A config that sets the labels of the head without a teacher."""
    config = toy_config(paths, **FEW)
    config["initialize"]["components"] = {"multitask": {"labels": {"intent": ["ask", "play"]}}}
    return config


def test_hard_labels_need_confidence(paths, tmp_path):
    work, configs = prepared(paths, tmp_path, "intent=joint", "slots=native", labels="hard", thresholds={"intent": 0.9})
    taught = {
        row["head"]: TaughtCounts(**{k: v for k, v in row.items() if k not in ("texts", "head")})
        for row in work.report.taught
    }
    assert 0 < taught["intent"].hard < 40
    assert taught["intent"].hard + taught["intent"].doubtful == 40
    assert taught["intent"].soft == 0
    assert (taught["slots"].hard, taught["slots"].confidence) == (40, None)
    docs = [
        doc
        for path in sorted((tmp_path / "taught" / "raw").iterdir())
        for doc in DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
    ]
    assert len(docs) == 40
    assert sum(bool(doc.cats) for doc in docs) == taught["intent"].hard
    assert all(doc.has_annotation("ENT_IOB") for doc in docs)
    raw = configs["student"]["corpora"]["distillation"]["corpora"]["raw"]["reader"]
    assert raw["@readers"] == "spacy_mtl.Corpus.v1"


def test_a_teacher_that_is_never_sure_gives_labels(paths, tmp_path):
    work, _ = prepared(paths, tmp_path, "slots=native")
    assert counts(work.report, "hard") == {("raw", "slots"): 40}
    assert any("head 'slots': its teacher can't say how sure it is" in note for note in work.report.notes)


def test_texts_are_made_from_gold(paths, tmp_path):
    work, configs = prepared(paths, tmp_path, texts=[], augmented=30)
    assert counts(work.report, "soft") == {("augmented", "intent"): 30, ("augmented", "slots"): 30}
    nlp = init_nlp(configs["student"])
    (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
    assert [is_augmented(eg.predicted) for eg in reader(nlp)].count(True) == 30
    _, configs = prepared(paths, tmp_path, texts=[], augmented=30, labels="hard")
    nlp = init_nlp(configs["student"])
    (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
    assert [is_augmented(eg.predicted) for eg in reader(nlp)].count(True) == 30
    docs = make_docs(30, 0)
    one, two = ([doc.text for doc in AugmentedTexts(docs, seed=1).make(50, docs[0].vocab)] for _ in range(2))
    assert one == two
    assert len(set(one)) == 50
    assert not set(one) & {doc.text for doc in docs}
    assert [doc.text for doc in AugmentedTexts(docs, seed=2).make(50, docs[0].vocab)] != one
    assert list(AugmentedTexts(docs[:0], seed=1).make(5, docs[0].vocab)) == []


@pytest.mark.parametrize("listens", [False, True])
def test_over_a_listener_or_an_own_encoder(paths, tmp_path, listens):
    config = toy_config(paths, **FEW)
    if listens:
        nlp = spacy.blank("xx")
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
        model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
        nlp.add_pipe("multitask", config={"model": model, "heads": config["components"]["multitask"]["heads"]})
        config = Config(config | {"nlp": nlp.config["nlp"], "components": nlp.config["components"]})
    _, configs = prepared(paths, tmp_path, gold=False, config=config)
    nlp = init_nlp(configs["student"])
    (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
    examples = list(reader(nlp))
    assert not any(eg.reference.cats for eg in examples)
    encoder = nlp.get_pipe("tok2vec").model if listens else nlp.get_pipe("multitask").encoder
    before = [node.get_param(name).copy() for node in encoder.walk() for name in node.param_names]
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = 0.01
    losses = [nlp.update(examples, sgd=optimizer, losses={}) for _ in range(10)]
    after = [node.get_param(name) for node in encoder.walk() for name in node.param_names]
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    for head in ("intent", "slots"):
        assert losses[-1][f"multitask/{head}"] < losses[0][f"multitask/{head}"]


def test_two_teachers_of_one_kind(paths, tmp_path):
    """Two classifiers, each with its own keys of `doc.cats`."""
    heads = heads_config(one={"kind": "DocClassifier"}, two={"kind": "DocClassifier", "label_prefix": "t="})
    docs = make_docs(40, 6)
    for doc in docs:
        doc.cats = {f"t={key}": value for key, value in doc.cats.items()}
    other = heads_config(two=heads["two"] | {"kind": "DocClassifier"})
    multitask_teacher(other, docs, steps=8).to_disk(tmp_path / "two")
    own = paths | {"two": tmp_path / "two"}
    config = toy_config(paths, heads=heads, **FEW)
    _, configs = prepared(own, tmp_path / "out", "one=native", "two=two", config=config)
    assert configs["student"]["initialize"]["components"]["multitask"]["labels"] == {
        "one": ["ask", "play"],
        "two": ["ask", "play"],
    }
    nlp = init_nlp(configs["student"])
    (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
    targets = [teaching_of(eg.reference).targets for eg in reader(nlp)]
    assert {one["two"].labels for one in targets} == {("t=ask", "t=play")}
    assert {one["one"].labels for one in targets} == {("ask", "play")}


def test_what_is_refused(paths, tmp_path):
    config = toy_config(paths, **FEW)
    with fails("the student has no head 'topic'", "['intent', 'slots']"):
        make_plan(config, settings_of(paths, "topic=joint"))
    with fails("head 'intent' has several teachers"):
        settings_of(paths, "intent=joint", "intent=native")
    with fails("there is no teacher"):
        DistilSettings([])
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with fails("there is no text in", "empty.txt"):
        make_plan(config, settings_of(paths, texts=[empty]))
    with fails("no such file or folder", "none.txt"):
        make_plan(config, settings_of(paths, texts=[tmp_path / "none.txt"]))
    with fails("training.max_steps is 0", "--no-anneal"):
        make_plan(toy_config(paths, max_steps=0), settings_of(paths))
    with fails("neither gold nor texts"):
        settings_of(paths, texts=[], gold=False)
    for name, value in {"temperature": 0.0, "gold_share": 1.5, "top": 0, "gold_weight": 0.0, "threshold": -1.0}.items():
        with fails(f"{name} is {value}"):
            settings_of(paths, **{name: value})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with fails("mine", "distil.lock"):
        distil(config, tmp_path / "mine", settings_of(paths), Carrying())


def test_labels_of_the_teacher_and_the_gold_that_have_nothing_in_common(paths, tmp_path):
    docs = make_docs(30, 6)
    for doc in docs:
        doc.cats = {f"class {key}": value for key, value in doc.cats.items()}
    multitask_teacher(heads_config(intent={"kind": "DocClassifier"}), docs, steps=1).to_disk(tmp_path / "other")
    with fails("head 'intent'", "['class ask', 'class play']", "['ask', 'play']"):
        prepared(paths | {"other": tmp_path / "other"}, tmp_path / "out", "intent=other")


def test_targets_of_other_texts_are_refused(paths, tmp_path):
    work, _ = prepared(paths, tmp_path, "slots=joint")
    folder = work.passes["gold"][0].path
    nlp = spacy.blank("xx")
    doc = nlp.make_doc("nothing like it")
    reader = make_taught_corpus_v1(lambda nlp: iter([Example(doc, doc)]), [str(folder)])
    with fails("are of other texts"):
        list(reader(nlp))


def test_words_have_keys_that_never_change():
    nlp = spacy.blank("xx")
    assert key_of(nlp.make_doc("play some jazz")) == 3229344457293588346
    assert key_of(nlp.make_doc("play some  jazz")) != key_of(nlp.make_doc("play some jazz"))


def test_the_command(paths, tmp_path):
    toy_config(paths, **FEW).to_disk(tmp_path / "student.cfg")
    runner = CliRunner()
    command = ["mtl", "distil", str(tmp_path / "student.cfg"), "--output", str(tmp_path / "out")]
    done = runner.invoke(
        app,
        [
            *command,
            *("--teacher", f"slots={paths['joint']}:slots", "--teacher", f"intent={paths['native']}:textcat"),
            *("--texts", str(paths["raw"]), "--augmented", "10", "--temperature", "2", "--no-anneal"),
            *("--engine", "in_this_process", "--training.max_steps", "3"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "Main scores on dev" in done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (
        sorted((row["texts"], row["soft"]) for row in report["taught"]) == [("augmented", 10)] * 2 + [("raw", 40)] * 2
    )
    config = load_config(tmp_path / "out" / "student.cfg")
    assert config["training"]["max_steps"] == 3
    assert config["corpora"]["distillation"]["corpora"]["gold"]["reader"]["anneal_steps"] == 0
    assert spacy.load(tmp_path / "out" / "model-best").pipe_names == ["multitask"]
    refused = runner.invoke(app, [*command, "--teacher", f"topic={paths['joint']}", "--texts", str(paths["raw"])])
    assert refused.exit_code == 1
    assert "the student has no head 'topic'" in refused.output


def test_an_augmenter_after_the_targets_is_refused(paths, tmp_path):
    config = toy_config(paths, **FEW)
    reader = config["corpora"]["train"]
    augmenter = {"@augmenters": "spacy_mtl.SwapEntities.v1", "level": 1.0}
    config["corpora"]["train"] = {
        "@readers": "spacy_mtl.MultiCorpus.v1",
        "corpora": {"mine": {"reader": reader, "augmenter": augmenter}},
    }
    with fails("the corpus 'mine' has an augmenter", "set it in the corpus's reader"):
        prepared(paths, tmp_path, "slots=joint", config=config)


def test_without_gold_there_need_be_no_path_of_it(paths, tmp_path):
    config = toy_config(paths, **FEW)
    config["corpora"]["train"] = {"@readers": "spacy_mtl.Corpus.v1", "path": None}
    work, configs = prepared(paths, tmp_path, config=config, gold=False)
    assert list(work.passes) == ["raw"]
    nlp = init_nlp(configs["student"])
    assert nlp.get_pipe("multitask").label_data == {"intent": ["ask", "play"], "slots": ["city", "genre", "name"]}
