"""Co-training: which predictions become labels, that gold is kept, when it ends, what it writes and what it refuses."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import spacy
from multi import TWO, make_config, write
from pipelines import heads_config, make_examples
from silent_heads import without_confidence
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.util import load_config, resolve_dot_names
from toy import make_docs, make_toy, toy_config
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.cotraining.labelling import label
from spacy_mtl.cotraining.plan import make_plan
from spacy_mtl.cotraining.round_corpus import with_pseudo_labels
from spacy_mtl.cotraining.rounds import co_train
from spacy_mtl.cotraining.settings import Settings
from spacy_mtl.experiments.learner import Learner, find_component
from spacy_mtl.heads import entity_recognizer
from spacy_mtl.heads.doc_classifier import doc_classifier
from spacy_mtl.heads.doc_classifier.doc_classifier import DocClassifier
from spacy_mtl.heads.entity_recognizer import EntityRecognizer
from spacy_mtl.origin import corpus_of
from spacy_mtl.readers.unlabelled_corpus import UnlabelledCorpus

THRESHOLD = 0.9
FEW = {"max_steps": 4, "eval_frequency": 4}


def fails(*parts):
    """Expect a ValueError whose message has these parts in this order."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


def run(config, raw, output, **settings):
    return co_train(config, raw, output, Settings(**settings), stdout=io.StringIO())


def read(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def load_learner(output, number, name):
    path = output / f"round-{number}" / name / "model-best"
    return Learner(name, path, spacy.load(path), 0.0, {})


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def done(paths, tmp_path_factory):
    """A run of two rounds. RETURNS: its folder and its report."""
    output = tmp_path_factory.mktemp("run") / "out"
    report = run(toy_config(paths), paths["raw"], output, rounds=2, threshold=THRESHOLD, patience=2)
    return output, report


def test_a_label_is_taken_where_both_agree_and_both_are_sure(done, paths):
    output, report = done
    texts = [line.strip() for line in paths["raw"].read_text().splitlines()]
    found = {}
    for name in ("first", "second"):
        nlp = spacy.load(output / "round-0" / name / "model-best")
        docs = list(nlp.pipe(texts))
        sure = nlp.get_pipe("multitask").confidences(docs)
        intents = [max(doc.cats, key=doc.cats.get) for doc in docs]
        slots = [{(ent.start, ent.end, ent.label_) for ent in doc.ents} for doc in docs]
        found[name] = {"intent": (intents, sure["intent"]), "slots": (slots, sure["slots"])}
    expected = {}
    for head in ("intent", "slots"):
        (mine, sure), (theirs, also_sure) = found["first"][head], found["second"][head]
        agreed = np.array([one == two for one, two in zip(mine, theirs, strict=True)])
        taken = agreed & (np.minimum(sure, also_sure) >= THRESHOLD)
        row = report.rounds[1].heads[head]
        assert 0 < taken.sum() < agreed.sum() < len(texts)
        assert (row.labels, row.new, row.threshold) == (taken.sum(), taken.sum(), THRESHOLD)
        assert row.agreement == pytest.approx(agreed.mean())
        assert row.confidence == pytest.approx(np.minimum(sure, also_sure).mean())
        expected[head] = {place: mine[place] for place in np.flatnonzero(taken).tolist()}
    labelled = read(output / "round-1" / "pseudo.spacy")
    places = sorted(set(expected["intent"]) | set(expected["slots"]))
    assert report.rounds[1].texts == len(labelled) == len(places)
    assert [doc.text for doc in labelled] == [texts[place] for place in places]
    for place, doc in zip(places, labelled, strict=True):
        intent = expected["intent"].get(place)
        assert doc.cats == ({} if intent is None else {key: float(key == intent) for key in ("ask", "play")})
        assert doc.has_annotation("ENT_IOB") == (place in expected["slots"])
        assert {(ent.start, ent.end, ent.label_) for ent in doc.ents} == expected["slots"].get(place, set())
    assert any(not doc.cats for doc in labelled)
    assert any(not doc.has_annotation("ENT_IOB") for doc in labelled)


def test_all_of_the_gold_is_in_every_round(done, paths):
    output, report = done
    gold = {doc.text: (dict(doc.cats), [ent.label_ for ent in doc.ents]) for doc in read(paths["train"])}
    for number in (1, 2):
        nlp = load_learner(output, number, "second").nlp
        (reader,) = resolve_dot_names(nlp.config.interpolate(), [nlp.config["training"]["train_corpus"]])
        nlp.resume_training()
        docs = [eg.reference for eg in reader(nlp)]
        by_corpus = {name: [doc for doc in docs if corpus_of(doc) == name] for name in ("gold", "pseudo")}
        assert len(by_corpus["gold"]) == len(read(paths["train"]))
        assert {doc.text: (dict(doc.cats), [ent.label_ for ent in doc.ents]) for doc in by_corpus["gold"]} == gold
        assert len(by_corpus["pseudo"]) == report.rounds[number].texts


def test_labels_come_from_the_gold(done):
    output, _ = done
    labels = [find_component(load_learner(output, number, "first").nlp).label_data for number in range(3)]
    assert labels == [{"intent": ["ask", "play"], "slots": ["city", "genre", "name"]}] * 3


def test_labels_are_counted_as_new_once(done):
    _, report = done
    for head in ("intent", "slots"):
        first, second = (report.rounds[number].heads[head] for number in (1, 2))
        assert second.new <= second.labels
        assert second.new >= second.labels - first.labels
        assert second.new < second.labels


def test_the_model_is_the_best_learner_of_the_best_round(done, paths):
    output, report = done
    scores = {learner.model: learner.score for one in report.rounds for learner in one.learners}
    assert len(scores) == 6
    assert scores[report.best_round.best.model] == max(scores.values())
    nlp = spacy.load(output / "model-best")
    best = spacy.load(output / report.best_round.best.model)
    assert nlp.to_bytes() == best.to_bytes()
    (reader,) = resolve_dot_names(nlp.config.interpolate(), ["corpora.dev"])
    evaluated = nlp.evaluate(list(reader(nlp)))
    assert evaluated["multitask_score"] == pytest.approx(max(scores.values()))
    assert report.best_round.best.heads == {"intent": evaluated["intent_acc"], "slots": evaluated["slots_f"]}


def test_the_report_is_written(done, paths):
    output, report = done
    written = json.loads((output / "report.json").read_text())
    assert written == json.loads(json.dumps(report.as_json()))
    assert written["model"] == report.best_round.best.model
    assert written["settings"] == {
        "calibrated": None,
        "rounds": 2,
        "threshold": THRESHOLD,
        "thresholds": {},
        "agreement": "seeds",
        "view": {},
        "patience": 2,
        "seed": 3,
    }
    text = (output / "report.md").read_text()
    row = report.rounds[2].heads["slots"]
    assert f"| slots | 0.9 | {row.labels} | {row.new} | {100 * row.agreement:.2f} |" in text
    assert f"Stopped: {report.stopped}" in text
    assert text.count("| first |") == 3
    assert not [path.name for path in output.iterdir() if path.name.startswith(".")]


def test_the_same_seed_gives_the_same_run(paths, tmp_path):
    written = []
    for name in ("one", "two"):
        config = toy_config(paths, max_steps=10, eval_frequency=10)
        run(config, paths["raw"], tmp_path / name, rounds=1, threshold=0.2)
        report = json.loads((tmp_path / name / "report.json").read_text())
        written.append((report, (tmp_path / name / "round-1" / "pseudo.spacy").read_bytes()))
    assert written[0] == written[1]
    assert written[0][0]["rounds"][1]["heads"]["intent"]["labels"] > 0


def test_a_threshold_of_one_switches_a_head_off(done, paths):
    output, _ = done
    learners = [load_learner(output, 0, name) for name in ("first", "second")]
    labelled = label(learners, UnlabelledCorpus(paths["raw"]), {"intent": 0.6, "slots": 1.0})
    assert sum(labelled.heads["slots"].taken) == 0
    docs = list(labelled.docs.get_docs(spacy.blank("en").vocab))
    assert len(docs) == labelled.n_docs == sum(labelled.heads["intent"].taken) > 0
    assert not any(doc.has_annotation("ENT_IOB") for doc in docs)
    assert all(set(doc.cats) == {"ask", "play"} for doc in docs)


def test_tokens_of_raw_docs_are_kept(done, tmp_path):
    output, _ = done
    learners = [load_learner(output, 0, name) for name in ("first", "second")]
    doc = spacy.tokens.Doc(spacy.blank("en").vocab, words=["who", "is", "An", "na"], spaces=[True, True, False, False])
    reader = UnlabelledCorpus(write(tmp_path / "raw.spacy", [doc]))
    (labelled,) = label(learners, reader, {"intent": 0.01, "slots": 0.01}).docs.get_docs(learners[0].nlp.vocab)
    assert [token.text for token in labelled] == ["who", "is", "An", "na"]


def test_it_ends_without_new_labels(paths, tmp_path):
    report = run(toy_config(paths, **FEW), paths["raw"], tmp_path / "out", threshold=1.0)
    assert report.stopped == "no head got a new label in round 1"
    assert [len(one.learners) for one in report.rounds] == [2, 0]
    assert {head: row.labels for head, row in report.rounds[1].heads.items()} == {"intent": 0, "slots": 0}
    assert report.best_round.number == 0
    assert not (tmp_path / "out" / "round-1").exists()
    spacy.load(tmp_path / "out" / "model-best")


def test_it_ends_when_dev_is_no_better(paths, tmp_path):
    config = toy_config(paths, **FEW)
    config["training"]["optimizer"]["learn_rate"] = 0.0
    report = run(config, paths["raw"], tmp_path / "out", rounds=3, threshold=0.01)
    assert report.stopped == "the dev score of round 1 is not above that of round 0"
    assert [one.number for one in report.rounds] == [0, 1]
    assert report.rounds[1].heads["intent"].labels > 0


def test_a_head_that_cannot_say_gets_no_labels(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(doc_classifier, "DocClassifier", without_confidence(DocClassifier))
    seen = []
    report = co_train(
        toy_config(paths, max_steps=10, eval_frequency=10),
        paths["raw"],
        tmp_path / "out",
        Settings(rounds=1, threshold=0.1),
        stdout=io.StringIO(),
        on_round=lambda one, report: seen.append(one.number),
    )
    assert seen == [0, 1]
    assert report.unable == ["intent"]
    assert set(report.rounds[1].heads) == {"slots"}
    assert not any(doc.cats for doc in read(tmp_path / "out" / "round-1" / "pseudo.spacy"))
    assert "| intent | gives no confidence | 0 |" in (tmp_path / "out" / "report.md").read_text()
    monkeypatch.setattr(entity_recognizer, "EntityRecognizer", without_confidence(EntityRecognizer))
    with fails("['intent', 'slots']", "no confidence"):
        run(toy_config(paths), paths["raw"], tmp_path / "other")


def test_several_gold_corpora_keep_their_sampler(tmp_path):
    nlp = spacy.blank("en")
    gold = {
        "cats": write(tmp_path / "cats.spacy", [eg.reference for eg in make_examples(nlp, ents=False)] * 5),
        "ents": write(tmp_path / "ents.spacy", [eg.reference for eg in make_examples(nlp, cats=False)] * 5),
    }
    config = make_config(gold, "Uniform", cats={"heads": ["intent"]}, ents={"heads": ["slots"]})
    raw = write(tmp_path / "raw.spacy", make_docs(40, 2))
    report = run(config, raw, tmp_path / "out", rounds=1, threshold=0.1)
    assert [len(one.learners) for one in report.rounds] == [2, 2]
    learner = load_learner(tmp_path / "out", 1, "first")
    section = learner.nlp.config["corpora"]["co_training"]
    assert section["sampler"]["@mtl_samplers"] == "spacy_mtl.Uniform.v1"
    assert list(section["corpora"]) == ["cats", "ents", "pseudo"]
    assert min(learner.nlp.meta["spacy_mtl"]["mix"].values()) > 0


def test_gold_tokens_go_on_as_gold_tokens(paths, tmp_path):
    config = toy_config(paths)
    for gold_tokens in (True, False):
        config["corpora"]["train"]["gold_tokens"] = gold_tokens
        changed = with_pseudo_labels(config, tmp_path / "pseudo.spacy", "multitask", {"intent": ["ask"]})
        assert changed["corpora"]["co_training"]["corpora"]["pseudo"]["reader"]["gold_tokens"] is gold_tokens
        assert changed["corpora"]["co_training"]["seed"] == 3
        assert changed["initialize"]["components"]["multitask"]["labels"] == {"intent": ["ask"]}
        assert "co_training" not in config["corpora"]


def encoder_of(config):
    return config["components"]["multitask"]["model"]["tok2vec"]


def test_two_seeds(paths, tmp_path):
    plan = make_plan(toy_config(paths), paths["raw"], tmp_path / "out", Settings())
    first, second = (plan.configs[name].interpolate() for name in ("first", "second"))
    assert (first["training"]["seed"], second["training"]["seed"]) == (3, 4)
    assert encoder_of(first) == encoder_of(second)
    assert (plan.seed, plan.n_raw, plan.thresholds) == (3, 150, {"intent": 0.95, "slots": 0.95})


def test_two_views(paths, tmp_path):
    plan = make_plan(toy_config(paths), paths["raw"], tmp_path / "out", Settings(agreement="views"))
    first, second = (plan.configs[name].interpolate() for name in ("first", "second"))
    assert first["training"]["seed"] == second["training"]["seed"]
    assert encoder_of(first)["subword_features"]
    assert not encoder_of(second)["subword_features"]
    view = {"components.multitask.model.tok2vec.width": 16}
    plan = make_plan(toy_config(paths), paths["raw"], tmp_path / "out", Settings(agreement="views", view=view))
    assert [encoder_of(plan.configs[name])["width"] for name in ("first", "second")] == [32, 16]
    assert encoder_of(plan.configs["second"])["subword_features"]


def test_two_heads_with_the_same_gold(paths, tmp_path):
    heads = heads_config(slots={"kind": "EntityRecognizer"}, spans={"kind": "EntityRecognizer", "spans_key": "sc"})
    with fails("'slots'", "'spans'", "doc.ents"):
        make_plan(toy_config(paths, heads), paths["raw"], tmp_path / "out", Settings())


def test_a_corpus_of_the_name_is_there_already(tmp_path):
    gold = write(tmp_path / "gold.spacy", [eg.reference for eg in make_examples(spacy.blank("en"))])
    with fails("corpora.train", "'pseudo'", "rename"):
        make_plan(make_config({"pseudo": gold}), gold, tmp_path / "out", Settings())
    assert set(TWO) == {"intent", "slots"}


# `python -m spacy mtl co-train`


def call(config, raw, output, *options):
    path = Path(output).with_suffix(".cfg")
    config.to_disk(path)
    arguments = ["mtl", "co-train", path, raw, "--output", output, *options]
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def test_the_command(paths, tmp_path):
    code = ("--training.max_steps", 6, "--training.eval_frequency", 6, "--training.optimizer.learn_rate", 0.02)
    options = ("--rounds", 1, "--threshold", 0.9, "-t", "intent=0.5", "-t", "slots=0.01", "--agreement", "views", *code)
    result = call(toy_config(paths), paths["raw"], tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["thresholds"] == {"intent": 0.5, "slots": 0.01}
    assert (report["settings"]["threshold"], report["settings"]["agreement"]) == (0.9, "views")
    assert load_config(tmp_path / "out" / "model-best" / "config.cfg")["training"]["max_steps"] == 6
    for part in (
        "Round 0, first learner",
        "Round 1, second learner",
        "of 150 texts got a label",
        "Stopped: all 1 rounds",
    ):
        assert part in result.output
    assert re.search(r"slots +0\.01 +\d+ +\d+ +\d+\.\d\d", result.output)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["-t", "solts=0.9"], ("['solts']", "['intent', 'slots']")),
        (["-t", "0"], ("threshold is 0.0", "above 0")),
        (["-t", "1.1"], ("threshold is 1.1", "at most 1")),
        (["-t", "slots=nan"], ("head 'slots'", "nan")),
        (["-t", "intent=high"], ("intent=high", "'high' is not a number")),
        (["--rounds", "0"], ("rounds is 0",)),
        (["--patience", "0"], ("patience is 0",)),
        (["--view", "training.dropout=0.2"], ("['training.dropout']", "'views'")),
        (["-a", "views", "--view", "components.none.width=2"], ("'components.none.width'", "no setting")),
        (["-a", "views", "--view", "width"], ("--view width", "KEY=VALUE")),
        (["-a", "views", "--view", "components.multitask.model.tok2vec.width=32"], ("both learners see the same",)),
        (["--training.seed", "null"], ("training.seed is null",)),
        (["--corpora.dev.path", "gone.spacy"], ("gone.spacy",)),
        (["--training.train_corpus", "corpora.gold"], ("'corpora.gold'", "no such section")),
    ],
)
def test_wrong_options(paths, tmp_path, options, parts):
    result = call(toy_config(paths), paths["raw"], tmp_path / "out", *options)
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert all(part in said for part in ("Co-training stopped", *parts)), result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("raw.txt", None, ("no such file", "raw.txt")),
        ("raw.txt", "\n", ("no text", "raw.txt")),
        ("raw.jsonl", '{"text": "play"}\n{"txt": "play"}', ("raw.jsonl, line 2", "['txt']")),
    ],
)
def test_wrong_raw_text(paths, tmp_path, name, content, parts):
    if content is not None:
        (tmp_path / name).write_text(content)
    result = call(toy_config(paths), tmp_path / name, tmp_path / "out")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert all(part in said for part in parts), result.output
    assert not (tmp_path / "out").exists()


def test_an_output_folder_in_use(paths, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    result = call(toy_config(paths), paths["raw"], tmp_path / "out")
    assert result.exit_code == 1
    assert "not an empty folder" in " ".join(result.output.split())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_a_config_without_the_component(paths, tmp_path):
    config = spacy.blank("en").config
    result = call(config, paths["raw"], tmp_path / "out")
    assert result.exit_code == 1
    assert "0 components multitask" in " ".join(result.output.split())


def test_views_need_a_setting_of_the_encoder(paths, tmp_path):
    config = toy_config(paths)
    config["components"]["multitask"]["model"]["tok2vec"] = {"@architectures": "spacy_mtl.OnnxEncoder.v1", "width": 8}
    with fails("subword_features", "say what the second learner"):
        make_plan(config, paths["raw"], tmp_path / "out", Settings(agreement="views"))
