"""What the page says, of a comparison and of one pipeline, and what is refused."""

import html
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import spacy
from multi import write
from pipelines import heads_config, make_examples, make_nlp, train
from small_comparison import make_comparison
from spacy.tokens import Doc, Span
from spacy.training import Example
from typer.testing import CliRunner

from spacy_mtl.balance.readout_sums import add_up
from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.cli import mtl_cli
from spacy_mtl.comparison.result import read_comparison, write_comparison
from spacy_mtl.experiments.stored_tokens import StoredDocs
from spacy_mtl.protocols.decisions import Decisions
from spacy_mtl.relation import Relation, set_relations
from spacy_mtl.report.charts import ticks
from spacy_mtl.report.from_comparison import data_of_comparison
from spacy_mtl.report.from_pipeline import data_of_pipeline
from spacy_mtl.report.instructive_errors import choose_errors
from spacy_mtl.report.label_counts import confusions, label_scores
from spacy_mtl.report.page import make_page, write_page
from spacy_mtl.report.report_data import Side
from spacy_mtl.report.section import find_sections
from spacy_mtl.report.sections.head_balance import joint_runs, make_balance_v1
from spacy_mtl.report.shown_decisions import show_doc
from spacy_mtl.report.templating import DASH, MINUS, duration, percent, points, short, signed, size

EVIL = "<script>alert('x')</script>\"&"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_comparison(tmp_path_factory.mktemp("comparison"))


@pytest.fixture(scope="module")
def data(folder):
    return data_of_comparison(folder)


@pytest.fixture(scope="module")
def page(data):
    return make_page(data)


def text_of(page):
    """The page without scripts, styles and tags."""
    page = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def run(*arguments):
    return CliRunner().invoke(mtl_cli, list(map(str, arguments)))


def failure(*arguments):
    """The message of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    return re.sub(r"\s+", " ", result.output)


def test_a_verdict_has_scores_change_and_interval(folder, page):
    (found,) = [found for found in read_comparison(folder / "report.json").differences if found.head == "intent"]
    scores, alone = (100 * np.mean(values) for values in (found.scores, found.baseline_scores))
    assert f"Accuracy {scores:.1f} instead of {alone:.1f} alone ({points(found.difference)} points" in text_of(page)
    assert "This test set could have shown a difference of 1.3 points or more." in text_of(page)
    assert page.index("Does sharing help?</h2>") < page.index("Learning curves</h2>")


def test_it_has_every_section_but_those_with_nothing_to_show(page):
    found = re.findall(r'<section id="([\w-]+)"', page)
    assert found == ["verdicts", "curves", "balance", "labels", "confusions", "corpora", "errors", "cost", "details"]


def test_it_says_what_each_training_corpus_gives(page):
    section = text_of(page[page.index('id="corpus-gold"') : page.index('<section id="errors"')])
    assert re.search(r"toy intent 40 40 100\.0 40 toy slots 20 40 50\.0 1,234", section)


def section_of(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)[0]


def test_the_balance_is_that_of_all_joint_trainings(data, page):
    section = section_of(page, "balance")
    runs = joint_runs(data)
    assert len(runs) == 2
    found = add_up(line["balance"]["multitask"] for run in runs for line in run.steps)
    assert f"measured in {found['measured']} of 40 steps, at the parameters of the last shared layer" in text_of(
        section
    )
    for name, head in found["heads"].items():
        assert f"{name} {short(head['loss'])} {short(head['weight'])} {short(head['gradient_norm'])}" in text_of(
            section
        )
    (pair,) = found["conflict"]
    assert section.count(f">{signed(pair['cosine'])}</td>") == 2
    # two heads with a curve of the loss and of the gradient norm; a weight that stays the same has none
    assert section.count("<svg") == 4


def test_the_balance_of_one_pipeline_has_no_curves(folder, data):
    (path, *_) = sorted((folder / "runs").glob("joint-*/model"))
    page = make_page(data_of_pipeline(spacy.load(path), [folder / "data" / "test.spacy"], name="toy"))
    section = section_of(page, "balance")
    assert "measured in" in text_of(section)
    assert "Steps in conflict, %" in text_of(section)
    assert "<svg" not in section


def test_a_pipeline_that_was_never_trained_has_no_balance(data):
    run = replace(joint_runs(data)[0], steps=[{"step": 0, "balance": {"multitask": {}}}], balance={"multitask": {}})
    sides = {head: [Side("joint", "Joint", [run])] for head in data.sides}
    assert make_balance_v1().render(replace(data, sides=sides)) is None


def test_it_loads_nothing(page):
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert len(page.encode()) < 200_000


def test_the_same_folder_gives_the_same_page(folder, page):
    assert make_page(data_of_comparison(folder)) == page


def test_label_scores_are_those_of_the_scorer(data):
    for head in ("intent", "slots"):
        for side, found in data.label_pairs(head):
            scores = label_scores(found)
            for label, score in scores.items():
                expected = [run.scores["test"][f"{head}_f_per_type"].get(label, {"f": 0.0})["f"] for run in side.runs]
                assert score.f == pytest.approx(np.mean(expected), abs=1e-6)


def test_confusions_add_up_to_the_decisions(data):
    side = data.sides["slots"][0]
    ((_, found), _) = data.label_pairs("slots")
    expected = np.mean([len(run.decisions("slots").gold) for run in side.runs])
    assert sum(confusions(found).values()) == pytest.approx(expected)


def test_a_failed_run_is_named_and_the_rest_is_shown(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    comparison = read_comparison(folder / "report.json")
    for failed in comparison.runs:
        if failed.system == "slots alone":
            failed.status, failed.message, failed.scores = "failed", "ValueError: nothing to learn from", {}
            shutil.rmtree(tmp_path / "copy" / failed.folder)
    write_comparison(comparison, tmp_path / "copy" / "report.json")
    text = text_of(make_page(data_of_comparison(tmp_path / "copy")))
    assert "failed: ValueError: nothing to learn from" in text
    assert "Scores of the labels of slots" in text


def test_a_folder_that_was_moved_without_its_data_and_models_gives_the_same_page(folder, page, tmp_path):
    shutil.copytree(
        folder, tmp_path / "mailed", ignore=shutil.ignore_patterns("data", "model", "config.cfg", "*.spacy")
    )
    assert make_page(data_of_comparison(tmp_path / "mailed")) == page


def test_docs_are_built_for_the_errors_that_are_shown_alone(folder, page, monkeypatch):
    built = []
    build = StoredDocs.__getitem__
    monkeypatch.setattr(StoredDocs, "__getitem__", lambda docs, place: built.append(place) or build(docs, place))
    make_page(data_of_comparison(folder))
    assert 0 < len(built) == len(re.findall(r'<span class="number">doc', page)) < 60


def test_runs_that_kept_no_predictions_are_said(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.npz"))
    text = text_of(make_page(data_of_comparison(tmp_path / "copy")))
    assert "have not kept what was predicted, so that labels, confusions and errors are left out" in text
    assert "Learning curves" in text
    assert "Instructive errors" not in text


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A pipeline whose labels and texts would be scripts, trained to be wrong, and its data."""
    labels = [f"{EVIL}{number}" for number in range(2)]

    def docs(nlp, swap):
        for number in range(12):
            doc = Doc(nlp.vocab, words=["say", EVIL, "</section>", f"no{number}"])
            doc.cats = {label: float((place == number % 2) != swap) for place, label in enumerate(labels)}
            doc.ents = [Span(doc, 1, 2, label=labels[0])] if not swap else [Span(doc, 2, 3, label=labels[1])]
            yield doc

    def examples(nlp, swap=False):
        return [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs(nlp, swap)]

    heads = heads_config(**{"a<b>": {"kind": "DocClassifier"}, "slots": {"kind": "EntityRecognizer"}})
    nlp = make_nlp(heads, examples=examples)
    train(nlp, examples(nlp))
    folder = tmp_path_factory.mktemp("evil")
    nlp.to_disk(folder / "model")
    write(folder / "data.spacy", docs(nlp, swap=True))
    return folder


def test_everything_is_escaped(evil):
    page = make_page(data_of_pipeline(spacy.load(evil / "model"), [evil / "data.spacy"], name=f"model {EVIL}"))
    assert "<script>alert" not in page
    assert "a<b>" not in page
    assert page.count("</section>") == page.count("<section ")
    assert "&lt;script&gt;alert" in page
    assert "Instructive errors" in page


def test_one_pipeline_has_scores_labels_confusions_and_errors(evil, tmp_path):
    result = run("report", evil / "model", evil / "data.spacy", "--output", tmp_path / "out.html")
    assert result.exit_code == 0, result.output
    found = re.findall(r'<section id="([\w-]+)"', (tmp_path / "out.html").read_text(encoding="utf8"))
    assert found == ["scores", "balance", "labels", "confusions", "explanations", "errors"]


def test_several_files_are_corpora(evil, tmp_path):
    shutil.copy(evil / "data.spacy", tmp_path / "other.spacy")
    nlp = spacy.load(evil / "model")
    text = text_of(make_page(data_of_pipeline(nlp, [evil / "data.spacy", tmp_path / "other.spacy"], name="model")))
    assert "Corpus by corpus" in text
    assert re.search(r"other slots F1 \d", text)


def test_errors_in_a_pipe_are_plain_text(evil):
    result = run("errors", evil / "model", evil / "data.spacy", "--head", "slots", "--limit", 2)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "2 of 12 docs with an error, of 12" in result.output
    assert re.search(rf"gold +say {re.escape(EVIL)} \[</section>\]\({re.escape(EVIL)}1\)", result.output)
    assert re.search(rf"predicted +say \[{re.escape(EVIL)}\]\({re.escape(EVIL)}0\) </section>", result.output)


@pytest.fixture(scope="module")
def contrary(tmp_path_factory):
    """A pipeline of all kinds of structure and its data, whose gold says otherwise than what it was trained on."""

    def docs(nlp, swap):
        for number, verb in enumerate(("joined", "left", "founded", "joined", "praised")):
            words = ["Anna", verb, "Acme", "."]
            if swap:
                doc = Doc(nlp.vocab, words, heads=[0, 0, 1, 1], deps=["ROOT", "acl", "dobj", "punct"], lemmas=words)
            else:
                lemmas = ["Anna", verb[:-2], "Acme", "."]
                doc = Doc(nlp.vocab, words, heads=[1, 1, 1, 1], deps=["nsubj", "ROOT", "dobj", "punct"], lemmas=lemmas)
            doc.ents = [Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "ORG")]
            head, tail = reversed(doc.ents) if swap else doc.ents
            set_relations(doc, [Relation(head, tail, "works_for")], with_scores=False)
            doc.spans["sc"] = [Span(doc, 2, 3, "NAME") if swap else Span(doc, 0, 1, "NAME")]
            doc.cats = {"mood": 250.0 + number + 40 * swap}
            yield doc

    def examples(nlp):
        return [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs(nlp, swap=False)]

    heads = heads_config(
        ents={"kind": "EntityRecognizer"},
        relations={"kind": "RelationExtractor", "depends_on": "ents"},
        parser={"kind": "DependencyParser"},
        lemma={"kind": "Lemmatizer", "min_tree_freq": 1},
        spans={"kind": "SpanClassifier"},
        size={"kind": "Regressor", "numbers": ["mood"]},
    )
    nlp = make_nlp(heads, examples=examples)
    train(nlp, examples(nlp))
    folder = tmp_path_factory.mktemp("contrary")
    nlp.to_disk(folder / "model")
    write(folder / "data.spacy", docs(nlp, swap=True))
    return folder


@pytest.mark.parametrize(
    ("head", "gold", "predicted"),
    [
        ("relations", "Acme -[works_for]-> Anna", "Anna -[works_for]-> Acme"),
        ("parser", "-[ROOT]-> Anna, Anna -[acl]-> left", "left -[nsubj]-> Anna, -[ROOT]-> left"),
        ("lemma", "Anna [left](. → .) Acme .", "Anna [left](left → le) Acme ."),
        ("spans", "Anna left [Acme](NAME) .", "[Anna](NAME) left Acme ."),
    ],
)
def test_errors_of_structure_say_what_is_related(contrary, head, gold, predicted):
    """Relations and arcs whose label alone is right are told apart, in the terminal and in the page."""
    result = run("errors", contrary / "model", contrary / "data.spacy", "--head", head)
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
    assert ["gold", gold] in lines
    assert ["predicted", predicted] in lines


def test_a_head_without_decisions_says_so(contrary):
    result = run("errors", contrary / "model", contrary / "data.spacy", "--head", "size")
    assert "no decisions to show: the head has no gold in this data, or does not list its decisions" in result.output


def test_the_page_lists_relations_and_arcs(contrary):
    data = data_of_pipeline(spacy.load(contrary / "model"), [contrary / "data.spacy"], name="model")
    text = text_of(make_page(data))
    assert re.search(r"Gold Acme -\[works_for\]-> Anna model ✗ wrong Anna -\[works_for\]-> Acme", text)
    assert re.search(r"Gold -\[ROOT\]-> Anna Anna -\[acl\]-> left", text)


def test_errors_in_the_unit_of_the_gold_are_not_in_per_cent(contrary):
    data = data_of_pipeline(spacy.load(contrary / "model"), [contrary / "data.spacy"], name="model")
    scores = data.sides["size"][0].runs[0].scores["these docs"]
    assert 30 < scores["size_mae"] < 50
    expected = f"mae {scores['size_mae']:.3g}, rmse {scores['size_rmse']:.3g}"
    assert f"spearman {percent(scores['size_spearman'])}, {expected} " in text_of(make_page(data))
    result = run("evaluate", contrary / "model", contrary / "data.spacy")
    assert expected in re.sub(r"\s+", " ", result.output)


def test_unknown_head_is_named(evil):
    message = failure("errors", evil / "model", evil / "data.spacy", "--head", "slot")
    assert "there is no head 'slot'; the heads are a<b>, slots" in message


def test_a_folder_without_report_json(tmp_path):
    assert "is not the folder of a comparison, since it has no report.json" in failure("report", tmp_path)


def test_a_broken_report_json(tmp_path):
    (tmp_path / "report.json").write_text("{")
    assert "this is no complete result of mtl compare" in failure("report", tmp_path)


def test_a_pipeline_without_multitask(evil, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    for command in (("report", "--output", tmp_path / "out.html"), ("errors",)):
        message = failure(command[0], tmp_path / "model", evil / "data.spacy", *command[1:])
        assert "has no component multitask" in message
    assert not (tmp_path / "out.html").exists()


def test_data_without_gold(evil, tmp_path):
    nlp = spacy.blank("en")
    write(tmp_path / "raw.spacy", [nlp.make_doc("no gold at all")])
    message = failure("report", evil / "model", tmp_path / "raw.spacy", "--output", tmp_path / "out.html")
    assert "none of the 1 docs has gold for any head: 'a<b>' reads doc.cats; 'slots' reads" in message


def test_gold_of_one_head_alone_is_enough(evil, tmp_path):
    docs = [eg.reference for eg in make_examples(spacy.blank("en"), cats=False)]
    write(tmp_path / "ents.spacy", docs)
    text = text_of(make_page(data_of_pipeline(spacy.load(evil / "model"), [tmp_path / "ents.spacy"], name="m")))
    assert "Scores of the labels of slots" in text
    assert "Scores of the labels of a" not in text


def test_the_output_must_be_a_place_for_a_report(evil, tmp_path):
    command = ("report", evil / "model", evil / "data.spacy", "--output")
    assert "does not exist; make it first" in failure(*command, tmp_path / "missing" / "out.html")
    assert "is a folder; name a file" in failure(*command, tmp_path)
    mine = tmp_path / "mine.html"
    mine.write_text("my own page")
    assert "is no report of spacy-mtl" in failure(*command, mine)
    assert mine.read_text() == "my own page"


def test_a_report_replaces_an_older_one(evil, tmp_path):
    data = data_of_pipeline(spacy.load(evil / "model"), [evil / "data.spacy"], name="m")
    write_page(data, tmp_path / "out.html")
    data.title = "Another"
    write_page(data, tmp_path / "out.html")
    assert "<title>Another</title>" in (tmp_path / "out.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_sections_have_unique_anchors_and_places():
    sections = find_sections()
    assert len({section.id for section in sections}) == len(sections)
    assert [section.order for section in sections] == sorted(section.order for section in sections)


def rows(*found, unit="spans"):
    return Decisions.from_rows(unit, found)


def test_errors_of_one_system_come_first_and_show_different_confusions():
    joint = rows(
        (0, 0, 1, "a", "b"), (1, 0, 1, "a", "b"), (2, 0, 1, "a", "b"), (3, 0, 1, "b", "a"), (4, 0, 1, "c", "c")
    )
    alone = rows(
        (0, 0, 1, "a", "a"), (1, 0, 1, "a", "a"), (2, 0, 1, "a", "a"), (3, 0, 1, "b", "b"), (4, 0, 1, "c", "a")
    )
    groups = choose_errors([joint, alone], [9, 5, 7, 8, 3], limit=3)
    # the shortest of the frequent confusion, then one of the other, then the next one
    assert [(group.wrong, group.docs, group.n_docs) for group in groups] == [
        ((True, False), [1, 3, 2], 4),
        ((False, True), [4], 1),
    ]


def test_where_every_token_has_a_label_only_the_wrong_ones_are_shown():
    found = rows((0, 0, 1, "A", "A"), (0, 1, 2, "B", "A"), unit="tokens")
    gold, line = show_doc([found], 0)
    assert [(span.start, span.label) for span in gold.spans] == [(1, "B")]
    assert [(span.start, span.label, span.kind) for span in line.spans] == [(1, "A", "wrong")]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 40, [0, 10, 20, 30, 40]), (90.3, 97.2, [90, 92, 94, 96, 98]), (0.5, 0.5, [0.46, 0.48, 0.5, 0.52, 0.54])],
)
def test_ticks_are_round_and_enclose_the_values(low, high, expected):
    found = ticks(low, high, 4)
    assert found[0] <= low
    assert found[-1] >= high
    assert found == pytest.approx(expected)


def test_numbers_have_units():
    assert [points(share) for share in (0.0123, -0.0123, 0.00001, None)] == ["+1.2", f"{MINUS}1.2", "0.0", DASH]
    assert (short(1234567), size(2_500_000), size(12), duration(75), duration(3.2)) == (
        "1.23 M",
        "2.5 MB",
        "12 B",
        "1 min 15 s",
        "3.2 s",
    )


def test_a_calibrated_pipeline_shows_reliability_and_sets(tmp_path):
    nlp = make_nlp()
    train(nlp, make_examples(nlp), steps=8)
    examples = [eg for _ in range(8) for eg in make_examples(nlp)]
    write(tmp_path / "data.spacy", [eg.reference for eg in examples])
    assert 'id="calibration"' not in make_page(data_of_pipeline(nlp, [tmp_path / "data.spacy"], name="raw"))
    calibrate(nlp, "multitask", examples, CalibrationSettings(coverage=0.8))
    page = make_page(data_of_pipeline(nlp, [tmp_path / "data.spacy"], name="calibrated"))
    section = re.search(r'<section id="calibration".*?</section>', page, flags=re.DOTALL).group()
    # before and after of the intent, of entities and of docs, and the risk where it has several points
    assert section.count('<svg class="chart"') >= 6
    assert "intent, docs: share that is right over probability, before" in section
    assert "Prediction sets" in section
    assert all(f">{100 * 0.8:.1f}</td>" in section for _ in ("intent", "slots"))
