"""The computations in the benchmarks: ratios, and the guard that compares them with stored ones."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from multi import write
from pipelines import make_examples, make_nlp
from scipy.stats import spearmanr
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import load_model_from_config
from thinc.api import Adam, fix_random_seed
from toy import make_docs

from spacy_mtl.affinity.estimate import Affinity, write_affinity
from spacy_mtl.affinity.grouping import Grouping
from spacy_mtl.balance.readout_sums import ReadoutSums
from spacy_mtl.comparison.result import Comparison, Difference, HeadSummary, RunSummary, write_comparison
from spacy_mtl.gold import unannotated
from spacy_mtl.relation import Relation, relations, set_relations

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPEED, SCORES = BENCHMARKS / "speed", BENCHMARKS / "scores"
SCRIPTS = [
    path
    for folder in (SPEED, SCORES)
    for path in sorted(folder.glob("*.py"))
    if "make_parser(__doc__" in path.read_text(encoding="utf8")
]
EXTRAS = ("torch", "transformers", "onnx", "onnxruntime")


@pytest.fixture
def alternate(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(SPEED))
    import alternate

    return alternate


def test_ratios_are_of_runs_side_by_side(alternate):
    rows = alternate.compare({"slow": [4.0, 8.0, 2.0], "fast": [1.0, 4.0, 1.0]}, 100, base="slow")
    assert rows["slow"]["ratio"] == {"median": 1.0, "least": 1.0, "greatest": 1.0}
    assert rows["fast"] == {"words_per_second": 100.0, "ratio": {"median": 2.0, "least": 2.0, "greatest": 4.0}}


def test_runs_take_turns_and_preparation_is_not_timed(alternate):
    order = []

    def prepare(name):
        order.append(f"prepare {name}")
        return lambda: order.append(name)

    seconds = alternate.in_turn({name: lambda name=name: prepare(name) for name in "ab"}, rounds=2)
    assert order == ["prepare a", "a", "prepare b", "b"] * 3
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_the_cost_of_a_head_is_what_a_round_takes_longer_with_it(alternate, monkeypatch):
    head_cost = importlib.import_module("head_cost")
    assert head_cost.cost_of([3.0, 2.0, 5.0], [2.0, 2.0, 4.0]) == {"median": 0.25, "least": 0.0, "greatest": 0.5}
    nlp = make_nlp(listener=True)
    assert head_cost.encoder_of(nlp) == [name for name in nlp.pipe_names if name != "multitask"]


@pytest.mark.parametrize(("now", "code"), [(7.9, 1), (8.1, 0), (12.0, 0), (None, 1)])
def test_guard(tmp_path, now, code):
    def write(name, ratio):
        rows = {} if ratio is None else {"ours": {"words_per_second": 1.0, "ratio": {"median": ratio}}}
        path = tmp_path / name
        path.write_text(json.dumps({"machine": {}, "results": {"2 threads": {"train": rows}}}))
        return path

    command = [sys.executable, SPEED / "compare_with_kept.py", write("kept", 10.0), write("new", now)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert ("slower: /results/2 threads/train/ours" in result.stdout) == bool(code)


@pytest.fixture
def cross_domain(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(SCORES))
    import cross_domain

    return cross_domain


@pytest.fixture
def genres(tmp_path):
    """A treebank of three genres, 10 docs each in training."""
    nlp = spacy.blank("en")
    for split, size in (("train", 30), ("dev", 6), ("test", 6)):
        docs = []
        for number in range(size):
            doc = Doc(nlp.vocab, words=["Anna", "reads"], pos=["PROPN", "VERB"], ents=["B-PER", "O"])
            doc.cats = {f"genre={name}": float(place == number % 3) for place, name in enumerate(("a", "b", "c"))}
            docs.append(doc)
        DocBin(docs=docs).to_disk(tmp_path / f"{split}.spacy")
    return tmp_path


def test_cross_domain_methods_see_as_many_labelled_words_and_no_label_of_the_target(cross_domain, genres, tmp_path):
    folder = tmp_path / "domains"
    assert cross_domain.write_domains("ewt", genres, folder) == ["a", "b", "c"]
    for method, settings in cross_domain.METHODS.items():
        config = cross_domain.make_config(cross_domain.Run("ewt", "b", method, 3, 60), ["a", "b", "c"], folder)
        corpora = config["corpora"]["train"]["corpora"]
        assert list(corpora) == (["a", "c", "b"] if settings.unlabelled else ["a", "c"])
        assert corpora.get("b", {"heads": ["domain"]})["heads"] == ["domain"]
        assert config["training"]["batcher"]["size"] == (750 if settings.unlabelled else 500)
        weights = config["training"]["score_weights"]
        assert sum(weights.values()) == pytest.approx(1.0)
        assert not weights["b/pos_acc"]
        assert ("domain" in config["components"]["multitask"]["heads"]) == (settings.max_lambda is not None)


def test_cross_domain_scores_and_table(cross_domain):
    assert cross_domain.micro_f([{1, 2}, {3}], [{1}, {4, 5}]) == pytest.approx(2 / 6)
    rows = [
        {"target": target, "method": "plain", "f": value, "sources_f": 50.0}
        for target, value in (("a", 10.0), ("a", 20.0), ("b", 30.0))
    ]
    lines = cross_domain.table(rows, ("f",)).splitlines()
    assert lines[2:] == [
        "| plain | a | 2 | 15.00 ± 7.07 | 50.00 ± 0.00 |",
        "| plain | b | 1 | 30.00 ± 0.00 | 50.00 ± 0.00 |",
        "| plain | mean | 3 | 20.00 | 50.00 |",
    ]


@pytest.mark.slow
def test_cross_domain_does_not_run_again_what_is_finished(cross_domain, genres, tmp_path):
    output = tmp_path / "output"
    command = [sys.executable, SCORES / "cross_domain.py", "ewt", "--data", genres, "--output", output]
    command += ["--seeds", 0, "--steps", 2, "--genres", "b", "--methods", "adversary"]
    printed = []
    for _ in range(2):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
    (file,) = output.glob("runs-*.jsonl")
    assert len(file.read_text().splitlines()) == 1
    assert printed[0].startswith("{")
    assert printed[1] == printed[0].split("\n", 1)[1]
    assert "| adversary | b | 1 |" in printed[1]


@pytest.fixture
def co_training(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(SCORES))
    import co_training

    return co_training


def test_a_share_keeps_its_labels_and_the_rest_is_raw(co_training, tmp_path):
    docs = [doc for doc in make_docs(60, 0) if doc.ents]
    write(tmp_path / "train.spacy", docs)
    drawn = [co_training.split(tmp_path, tmp_path / name, share=0.25, seed=seed) for name, seed in (("a", 1), ("b", 2))]
    gold, raw = (co_training.read_docs(path, spacy.blank("en")) for path in drawn[0])
    assert len(gold) == round(0.25 * len(docs))
    assert all(doc.ents and doc.cats for doc in gold)
    assert not any(doc.has_annotation("ENT_IOB") or doc.cats for doc in raw)
    assert sorted(doc.text for doc in gold + raw) == sorted(doc.text for doc in docs)
    assert [doc.text for doc in gold] != [doc.text for doc in co_training.read_docs(drawn[1][0], spacy.blank("en"))]


def test_labels_are_compared_with_what_was_dropped(co_training, tmp_path):
    nlp = make_nlp()
    nlp.to_disk(tmp_path / "model")
    gold = [eg.reference for eg in make_examples(nlp)]
    write(tmp_path / "train.spacy", gold)
    labelled = [eg.reference for eg in make_examples(nlp)]
    labelled[0].cats = {"play": 0.0, "ask": 1.0}
    labelled[1] = make_examples(nlp, cats=False)[1].reference
    labelled[2].ents = []
    path = write(tmp_path / "pseudo.spacy", labelled)
    found = co_training.precision(tmp_path / "model", path, tmp_path)
    assert found == pytest.approx({"intent": 100 * 2 / 3, "slots": 100 * 3 / 4})


@pytest.fixture
def benchmark_module(monkeypatch):
    """A function that imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(SCORES))
    return importlib.import_module


def test_halves_have_one_kind_of_label_each_and_nothing_else_changes(benchmark_module, tmp_path):
    half_labels = benchmark_module("half_labels")
    docs = make_docs(40, 0)
    write(tmp_path / "train.spacy", docs)
    nlp = spacy.blank("en")
    path = half_labels.write_halves(tmp_path / "train.spacy", tmp_path / "halves.spacy")
    halves = half_labels.read_docs(path, nlp)
    kinds = [(bool(doc.cats), doc.has_annotation("ENT_IOB")) for doc in halves]
    assert kinds.count((True, False)) == kinds.count((False, True)) == 20
    for doc, half in zip(docs, halves, strict=True):
        assert doc.text == half.text
        assert half.cats in ({}, doc.cats)
        assert not half.has_annotation("ENT_IOB") or str(half.ents) == str(doc.ents)


def test_joint_scores_of_perfect_and_of_no_predictions(benchmark_module, tmp_path):
    half_labels = benchmark_module("half_labels")
    nlp = make_nlp()
    gold = [eg.reference for eg in make_examples(nlp)]
    write(tmp_path / "test.spacy", gold)
    nlp.remove_pipe("multitask")

    @spacy.Language.component("oracle")
    def oracle(doc):
        (known,) = [own for own in gold if own.text == doc.text]
        doc.cats = dict(known.cats)
        doc.set_ents([doc[ent.start : ent.end] for ent in ()])
        return doc

    nlp.add_pipe("oracle")
    scores = half_labels.joint_scores(nlp, tmp_path / "test.spacy")
    assert scores["intent_acc"] == 100.0
    assert scores["slots_f"] == scores["exact"] == 0.0


@pytest.mark.parametrize("head", ["intent", "slots", "names", "tags"])
def test_a_head_alone_keeps_its_corpus_and_its_settings(benchmark_module, head):
    three = benchmark_module("three_corpora")
    together = three.load_config(three.OURS, {"paths.corpora": "data"})
    alone = three.set_steps(three.only(together, head), 100)
    assert list(alone["components"]["multitask"]["heads"]) == [head]
    (corpus,) = alone["corpora"]["train"]["corpora"]
    assert corpus == three.CORPORA[head]
    assert alone["corpora"]["train"]["corpora"][corpus]["heads"] == [head]
    assert alone["training"]["max_steps"] == alone["training"]["optimizer"]["learn_rate"]["total_steps"] == 100
    assert len(together["components"]["multitask"]["heads"]) == 4
    nlp = spacy.util.load_model_from_config(alone, auto_fill=True)
    assert list(nlp.get_pipe("multitask").heads) == [head]


def test_a_table_has_a_line_for_each_system(benchmark_module):
    runs = benchmark_module("runs")
    rows = [{"system": "a", "seed": 0, "f": 10.0}, {"system": "b", "seed": 0, "g": 1.0}, {"system": "a", "f": 20.0}]
    assert runs.table(rows, "system", ["f", "g"]).splitlines()[2:] == [
        "| a | 2 | 15.00 ± 7.07 |  |",
        "| b | 1 |  | 1.00 ± 0.00 |",
    ]


def test_balance_trains_each_set_with_each_weighting_for_as_long(benchmark_module, tmp_path):
    balance = benchmark_module("balance")
    files = {split: str(tmp_path / f"{split}.spacy") for split in ("train", "dev", "test")}
    for name, setting in balance.SETTINGS.items():
        sections = balance.weightings(setting)
        assert {"NormScaling", "FAMO", "Targets"} <= sections.keys()
        assert "Static" not in sections
        for section in sections.values() if name == "snips" else [sections["NormScaling"]]:
            config = balance.make_config(setting, section, files, 40, 1)
            assert config["training"]["max_steps"] == 40
            assert sum(config["training"]["score_weights"].values()) == pytest.approx(1.0)
            heads = config["components"]["multitask"]["heads"]
            assert heads.keys() == setting.metrics.keys()
            load_model_from_config(config, auto_fill=True)
            assert (name == "loud") == bool(heads.get("genre", {}).get("class_weights"))


@pytest.mark.slow
@pytest.mark.slow
def test_balance_draws_weights_and_tells_what_beats_them(benchmark_module, tmp_path):
    nlp, docs = spacy.blank("en"), []
    for number in range(24):
        doc = Doc(nlp.vocab, words=["Anna", "sings" if number % 2 else "reads"], ents=["B-PER", "O"])
        docs.append(doc)
        doc.cats = {"sing": float(number % 2), "read": float(1 - number % 2)}
    for split in ("train", "dev", "test"):
        write(tmp_path / "snips" / f"{split}.spacy", docs)
    command = ["balance.py", "--data", tmp_path, "--output", tmp_path / "out", "--sets", "snips", "--seeds", 0]
    command += ["--steps", 20, "--trials", 1, "--weightings", "NormScaling"]
    lines = printed(*command).splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if line.startswith("| ")}
    assert list(rows) == ["weighting", "Static", "NormScaling", "Static, tuned"]
    assert all(len(cells) == 6 for cells in rows.values())
    assert lines[-1].startswith("Tuned weights: intent ")


def test_a_larger_dev_takes_docs_from_train_and_the_true_test_is_not_read(benchmark_module, tmp_path, monkeypatch):
    larger_dev = benchmark_module("larger_dev")
    for name, words in (("train", "abcdefgh"), ("dev", "xy")):
        write(tmp_path / f"{name}.spacy", [Doc(spacy.blank("en").vocab, words=[word]) for word in words])
    monkeypatch.setattr(sys, "argv", ["larger_dev.py", str(tmp_path), str(tmp_path / "larger"), "--docs", "3"])
    larger_dev.main()
    nlp = spacy.blank("en")
    texts = {
        name: [doc.text.strip() for doc in larger_dev.read_docs(tmp_path / "larger" / f"{name}.spacy", nlp)]
        for name in ("train", "dev", "test")
    }
    assert sorted(texts["train"] + texts["dev"]) == list("abcdefghxy")
    assert len(texts["train"]) == 5
    assert texts["dev"] == texts["test"]
    assert set("xy") < set(texts["dev"])


def test_a_larger_dev_overwrites_no_data(benchmark_module, tmp_path, monkeypatch, capsys):
    larger_dev = benchmark_module("larger_dev")
    monkeypatch.setattr(sys, "argv", ["larger_dev.py", str(tmp_path), f"{tmp_path}/.", "--docs", "3"])
    with pytest.raises(SystemExit):
        larger_dev.main()
    assert "name another folder" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_script_starts_and_tells_its_options(path):
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=False)
    for extra in EXTRAS:
        if f"No module named '{extra}'" in done.stderr:
            pytest.skip(f"needs {extra}")
    assert done.returncode == 0, done.stderr
    assert f"benchmarks/{path.parent.name}/{path.name}" in done.stdout


HEADS = ("a", "b", "c")
# what a head does to another when both are trained together
EFFECTS = {("a", "b"): 0.03, ("a", "c"): -0.02, ("b", "a"): 0.01, ("b", "c"): -0.01, ("c", "a"): 0.02, ("c", "b"): 0.0}


def made_comparison(folder, effects):
    """The folder of a comparison with pairs, and the read-outs of its joint training."""
    alone = dict.fromkeys(HEADS, 0.8)
    differences = [
        Difference(head, f"{'+'.join(sorted((acting, head)))}", f"{head} alone", split, f"{head}_acc",
                   [alone[head] + effect], [alone[head]], effect if split == "test" else 0.0,
                   None, None, None, None, None, "not measured", "", 10)
        for (acting, head), effect in effects.items()
        for split in ("dev", "test")
    ]  # fmt: skip
    run = RunSummary("joint-seed0-x", "joint", list(HEADS), 0, "runs/joint-seed0-x", "finished", "", {}, {})
    heads = [HeadSummary(head, "x.v1", f"{head}_acc", [], 1, 1, 1) for head in HEADS]
    comparison = Comparison(
        title="made", config="made.cfg", lang="en", heads=heads, corpora={}, budget={}, seeds=[0], method="",
        alpha=0.05, differences=differences, relative_improvement={}, costs=[], runs=[run], versions={},
    )  # fmt: skip
    sums, rows = ReadoutSums(), np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.1]])
    sums.add_step(dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 1.0))
    sums.add_gradients(list(HEADS), rows @ rows.T, dict.fromkeys(HEADS, 1.0), "last_layer")
    line = {"step": 1, "balance": {"multitask": sums.as_readout()}}
    own = folder / run.folder
    own.mkdir(parents=True)
    (own / "steps.jsonl").write_text(json.dumps(line) + "\n", encoding="utf8")
    write_comparison(comparison, folder / "report.json")


def made_affinity(path, pairs):
    table = {one: {other: pairs.get((one, other)) for other in HEADS} for one in HEADS}
    grouping = Grouping([list(HEADS)], 0.0)
    write_affinity(Affinity("made.cfg", list(HEADS), 9, 1, 0, 9, table, {}, [], [grouping], grouping), path)


@pytest.mark.parametrize(("sign", "rho"), [(1, "+1.00"), (-1, "-1.00")])
def test_ranks_of_affinities_and_of_trained_pairs(sign, rho, tmp_path):
    made_comparison(tmp_path / "comparison", EFFECTS)
    made_affinity(tmp_path / "affinity.json", {pair: sign * effect**3 for pair, effect in EFFECTS.items()})
    output = printed("affinity_vs_compare.py", tmp_path / "affinity.json", tmp_path / "comparison")
    assert output.splitlines()[2] == f"| a | b | +3.00 | {sign * 0.03**3:+.4f} | +0.7071 |"
    assert f"| affinity | {rho} | 0.000 | 6 |" in output
    # cosines: a and b +, a and c -, b and c -; ties in both directions
    expected = spearmanr([1, 1, -2, -2, -1, -1], [3, 1, -2, 2, -1, 0]).statistic
    assert f"| cosine | {expected:+.2f} |" in output


def test_a_comparison_without_pairs_is_refused(tmp_path):
    made_comparison(tmp_path / "comparison", {})
    made_affinity(tmp_path / "affinity.json", {})
    done = run_script("affinity_vs_compare.py", tmp_path / "affinity.json", tmp_path / "comparison")
    assert done.returncode == 2
    assert "has 0 measured effects of pairs on test; run mtl compare --pairs" in " ".join(done.stderr.split())


def run_script(name, *arguments):
    command = [sys.executable, SCORES / name, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def printed(name, *arguments):
    done = run_script(name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_relations_are_trained_jointly_alone_separately_and_as_in_the_tutorial(benchmark_module, tmp_path):
    relations = benchmark_module("relations")
    systems = ["joint", "alone", "separate", "tutorial"]
    args = SimpleNamespace(
        data=tmp_path, seeds=[3], steps=80, systems=systems, domains=["ai", "music"], made=None, encoder="CNN"
    )
    runs = list(relations.plan(args))
    assert [(run.key["system"], run.key["domains"]) for run in runs] == [
        ("joint", "ai music"),
        ("alone", "ai"),
        ("alone", "music"),
        ("separate", "ai music"),
        ("tutorial", "ai music"),
    ]
    assert len({run.name for run in runs}) == 5
    for run in runs:
        nlp = load_model_from_config(run.config, auto_fill=True)
        pipes = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "heads")]
        found = [name for pipe in pipes for name in sorted(pipe.heads)]
        assert found == ([] if run.key["system"] == "tutorial" else ["ents", "relations"])
        assert len(pipes) == {"separate": 2, "tutorial": 0}.get(run.key["system"], 1)
        assert (run.code is not None) == (run.key["system"] == "tutorial")
        assert sorted(run.config["corpora"]["train"]["corpora"]) == run.key["domains"].split()
        assert run.config["training"]["max_steps"] == 80


@pytest.mark.parametrize("system", ["joint", "separate", "tutorial"])
def test_relations_on_made_data_and_a_transformer(benchmark_module, tmp_path, system):
    relations = benchmark_module("relations")
    args = SimpleNamespace(
        data=tmp_path,
        seeds=[0],
        steps=80,
        systems=[system],
        domains=["made"],
        made=tmp_path / "own",
        encoder="transformer",
        transformer="some/model",
    )
    (run,) = relations.plan(args)
    config = run.config.interpolate()
    reader = config["corpora"]["dev"]["corpora"]["made"]["reader"]
    assert reader["path"] == str(tmp_path / "own" / "dev.spacy")
    assert "tok2vec" not in config["components"]
    assert config["training"]["batcher"]["@batchers"] == "spacy.batch_by_sequence.v1"
    if system == "tutorial":
        assert config["components"]["transformer"]["model"]["name"] == "some/model"
        listeners = [config["components"][name]["model"]["tok2vec"] for name in ("ner", "relations")]
        assert [one["@architectures"] for one in listeners] == ["spacy-transformers.TransformerListener.v1"] * 2
        return
    rates = [config["training"]["optimizer"], *config["training"]["optimizer"]["groups"].values()]
    assert [one["learn_rate"]["total_steps"] for one in rates] == [80, 80]
    nlp = load_model_from_config(run.config, auto_fill=True)
    assert nlp.pipe_names == {"joint": ["multitask"], "separate": ["ents", "relations"]}[system]
    for name in nlp.pipe_names:
        encoder = nlp.config["components"][name]["model"]["tok2vec"]
        assert encoder["@architectures"] == "spacy_mtl.TransformerEncoder.v1"


def related_docs(nlp):
    """Two people and an employer in each doc, of whom the first works for it, and a doc without entities."""
    docs = []
    for one, other, firm in (("Anna", "Bert", "Acme"), ("Clara", "Dora", "Siemens")):
        doc = Doc(nlp.vocab, words=[one, "of", firm, "met", other], ents=["B-PER", "O", "B-ORG", "O", "B-PER"])
        set_relations(doc, [Relation(doc[0:1], doc[2:3], "works_for")], with_scores=False)
        docs.append(doc)
    lone = Doc(nlp.vocab, words=["nobody", "came"], ents=["O", "O"])
    set_relations(lone, [])
    return [*docs, lone]


@pytest.fixture
def tutorial(benchmark_module):
    """A small pipeline of the tutorial's kind that has learned the docs by heart, and their examples."""
    benchmark_module("tutorial_relations")
    fix_random_seed(0)
    config = spacy.util.load_config(BENCHMARKS / "configs" / "tutorial_relations.cfg", interpolate=False)
    config["components"]["tok2vec"]["model"].update(width=32, depth=2, embed_size=200)
    nlp = load_model_from_config(config, auto_fill=True)
    docs = related_docs(nlp)
    examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.003)
    for _ in range(100):
        losses = nlp.update(examples, sgd=optimizer, drop=0.0)
    assert losses["relations"] < 0.01
    return nlp, docs


def test_the_tutorial_pairs_entities_that_are_near_enough(benchmark_module):
    script, nlp = benchmark_module("tutorial_relations"), spacy.blank("en")
    docs = related_docs(nlp)
    for max_length in (1, 2, 100):
        found = script.find_candidates(docs, docs, max_length)
        pairs = [(found.entities[head], found.entities[tail]) for head, tail in found.pairs]
        assert pairs == [
            (head, tail)
            for doc in docs
            for head in doc.ents
            for tail in doc.ents
            if head != tail and abs(head.start - tail.start) <= max_length
        ]
        assert list(found.starts) == [0, 2, 4, 5, 7, 9]


def test_the_tutorial_learns_relations_and_is_loaded_again(tutorial, tmp_path):
    nlp, docs = tutorial
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for pipeline in (nlp, loaded):
        scores = pipeline.evaluate([Example(unannotated(doc, nlp.vocab), doc) for doc in docs])
        for name in ("ents_f", "relations_f", "relations_macro_f", "relations_gold_entities_f"):
            assert scores[name] == 1.0
    found = [
        str(relation) for doc in loaded.pipe(unannotated(doc, nlp.vocab) for doc in docs) for relation in relations(doc)
    ]
    assert found == ["Anna -[works_for]-> Acme", "Clara -[works_for]-> Siemens"]


def test_the_tutorial_misses_relations_whose_entities_it_has_not_found(tutorial):
    nlp, docs = tutorial
    examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in docs]
    with nlp.select_pipes(disable="ner"):
        scores = nlp.evaluate(examples)
    assert scores["relations_f"] == scores["relations_r"] == 0.0
    assert scores["relations_gold_entities_f"] == 1.0


def test_the_tutorials_recognizer_learns_from_docs_without_pairs(tutorial):
    nlp, docs = tutorial
    before = nlp.get_pipe("tok2vec").model.to_bytes()
    nlp.update([Example(unannotated(docs[-1], nlp.vocab), docs[-1])], sgd=Adam(0.01))
    assert nlp.get_pipe("tok2vec").model.to_bytes() != before


def test_configs_from_data_are_compared_by_the_scores_that_they_share(benchmark_module, tmp_path):
    script = benchmark_module("init_config")
    for setting in script.SETTINGS.values():
        for _, keys in setting.columns.values():
            assert script.PROPOSED in keys
            assert set(keys) - {script.PROPOSED} <= setting.by_hand.keys()
        for make in setting.by_hand.values():
            config = script.of_length(make(tmp_path), 40)
            assert config["training"]["max_steps"] == 40
            assert config["training"]["max_epochs"] in (0, -1)
            assert script.of_length(config, 0) is config
