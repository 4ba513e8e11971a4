"""The command and the function behind it: what it writes, that the training is the usual one, and what is refused."""

import json
import re

import pytest
import spacy
from balancing import use
from multi import write
from pipelines import JOINT, heads_config
from spacy.tokens import Doc
from toy import make_docs, make_toy, toy_config
from typer.testing import CliRunner

from spacy_mtl.affinity.affinity_page import make_affinity_page
from spacy_mtl.affinity.estimate import AffinitySettings, estimate_affinity, read_affinity, units_of, write_affinity
from spacy_mtl.cli import mtl_cli

HEADS = heads_config(
    intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"}, shape={"kind": "Tagger", "attr": "tag"}
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Docs with a third annotation."""
    folder = tmp_path_factory.mktemp("toy")
    paths = make_toy(folder)
    for seed, split in enumerate(("train", "dev")):
        docs = make_docs(40, seed)
        for doc in docs:
            for token in doc:
                token.tag_ = "LONG" if len(token) > 4 else "SHORT"
        write(paths[split], docs)
    return paths


@pytest.fixture(scope="module")
def config_path(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "config.cfg"
    toy_config(toy, HEADS).to_disk(path)
    return path


def run(*arguments):
    return CliRunner().invoke(mtl_cli, ["affinity", *map(str, arguments)])


def failure(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    return re.sub(r"\s+", " ", result.output)


@pytest.fixture(scope="module")
def finished(config_path, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "affinity"
    result = run(config_path, "--output", output, "--steps", 12, "--every", 3, "--groups", 2)
    assert result.exit_code == 0, result.output
    return output, result.output


def test_it_prints_and_writes_the_matrix_and_the_groups(finished):
    output, printed = finished
    found = read_affinity(output / "affinity.json")
    assert (found.heads, found.steps, found.every, found.seed) == (list(HEADS), 12, 3, 3)
    assert found.measured == found.counts["slots"]["shape"] == pytest.approx(4, abs=1)
    assert all(found.affinity[head][head] > 0 for head in HEADS), "a step on a head lowers its own loss"
    assert [len(one.groups) for one in found.groupings] == [1, 2]
    assert found.suggested in found.groupings
    assert all(f"{100 * found.affinity[one][other]:+.2f}" in printed for one in HEADS for other in HEADS)
    assert "Suggested" in printed
    page = (output / "affinity.html").read_text(encoding="utf8")
    assert make_affinity_page(found) == page
    assert page.count('<td class="with"') + page.count('<td class="against"') == 6
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)


def test_the_same_seed_gives_the_same_and_another_seed_something_else(finished, config_path):
    output, _ = finished
    before = (output / "affinity.json").read_bytes()
    assert run(config_path, "-o", output, "--steps", 12, "--every", 3, "--groups", 2).exit_code == 0
    assert (output / "affinity.json").read_bytes() == before
    assert run(config_path, "-o", output, "--steps", 12, "--every", 3, "--groups", 2, "--seed", 4).exit_code == 0
    other = json.loads((output / "affinity.json").read_text(encoding="utf8"))
    assert other["seed"] == 4
    assert other["affinity"] != json.loads(before)["affinity"]


def test_docs_that_have_gold_for_one_head_leave_pairs_open(toy, tmp_path):
    """The tags are in other docs than the slots; batches mix them, so only single docs have no pair."""
    docs = make_docs(20, 3)
    for doc in docs:
        doc.cats = {}
    other = [Doc(spacy.blank("en").vocab, words=["a", "b"], tags=["X", "Y"]) for _ in range(4)]
    paths = {"train": write(tmp_path / "train.spacy", [*docs, *other]), "dev": toy["dev"]}
    config = toy_config(paths, heads_config(slots=HEADS_OF["slots"], shape=HEADS_OF["shape"]), max_steps=4)
    config["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1", "size": 1}
    with pytest.raises(ValueError, match=r"none of the \d+ measured batches has gold for two of the heads"):
        estimate_affinity(config, AffinitySettings(steps=6, every=1), name="config.cfg")


HEADS_OF = {"slots": {"kind": "EntityRecognizer"}, "shape": {"kind": "Tagger", "attr": "tag"}}


def test_heads_that_are_conditioned_stay_together():
    pipe = spacy.blank("en").add_pipe("multitask", config={"heads": JOINT | {"shape": HEADS["shape"]}})
    assert units_of(pipe.heads, list(pipe.heads)) == [("intent", "slots"), ("shape",)]


def test_what_stays_together_is_said(toy, tmp_path):
    toy_config(toy, JOINT).to_disk(tmp_path / "config.cfg")
    result = run(tmp_path / "config.cfg", "-o", tmp_path / "out", "--steps", 4, "--every", 2)
    assert "intent + slots stay together: one is conditioned on the other" in result.output
    assert "intent + slots stay together" in (tmp_path / "out" / "affinity.html").read_text(encoding="utf8")


def test_bad_input(toy, config_path, tmp_path):
    def config_with(change):
        config = toy_config(toy, HEADS)
        change(config)
        path = tmp_path / "bad.cfg"
        config.to_disk(path)
        return path

    def one_head(config):
        config["components"]["multitask"]["heads"] = {"intent": HEADS["intent"]}

    def no_component(config):
        config["components"] = {"ner": {"factory": "ner"}}
        config["nlp"]["pipeline"] = ["ner"]

    def no_corpus(config):
        config["corpora"]["train"]["path"] = str(tmp_path / "missing.spacy")

    output = tmp_path / "out"
    for change, message in (
        (
            one_head,
            r"has the heads \['intent'\], of which .* have a main score; affinities need at least two",
        ),
        (no_component, r"the pipeline \['ner'\] has 0 components multitask"),
        (no_corpus, "missing.spacy"),
    ):
        assert re.search(message, failure(config_with(change), "-o", output)), message
        assert not output.exists()
    assert run(config_path, "-o", output, "--steps", "1").exit_code == 2
    with pytest.raises(ValueError, match="steps is 1; it must be at least 2"):
        AffinitySettings(steps=1)
    output.mkdir()
    (output / "affinity.json").write_text('{"mine": 1}', encoding="utf8")
    assert "is not an affinity.json" in failure(config_path, "-o", output)
    assert (output / "affinity.json").read_text(encoding="utf8") == '{"mine": 1}'
    (output / "affinity.json").unlink()
    (output / "affinity.html").write_text("mine", encoding="utf8")
    assert "is no report of spacy-mtl" in failure(config_path, "-o", output)


def test_what_is_written_is_read(finished, tmp_path):
    found = read_affinity(finished[0] / "affinity.json")
    write_affinity(found, tmp_path / "copy.json")
    assert read_affinity(tmp_path / "copy.json") == found


def test_a_weighting_that_learns_can_be_measured(toy):
    config = toy_config(toy, HEADS)
    config["components"]["multitask"]["weighting"] = use("Uncertainty")
    assert estimate_affinity(config, AffinitySettings(steps=6, every=2), name="config.cfg").measured >= 2
