"""The command mtl compare: what it refuses, and what it prints."""

import pytest
from pipelines import heads_config
from spacy.cli import app
from toy import make_toy, toy_config
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.cli.compare import print_comparison
from spacy_mtl.comparison.result import Comparison, Cost, Difference, Failure, Interval

ONE = heads_config(intent={"kind": "DocClassifier"})


def invoke(*arguments):
    result = CliRunner().invoke(app, ["mtl", "compare", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    toy_config(make_toy(folder), ONE).to_disk(folder / "one.cfg")
    return folder / "one.cfg"


def test_what_cannot_be_compared_is_said_and_nothing_is_written(config, tmp_path):
    code, output = invoke(config, "--output", tmp_path / "out")
    assert code == 1
    assert "Nothing was compared" in output
    assert "needs at least two" in output
    assert not (tmp_path / "out").exists()


def test_an_unknown_engine_is_said(config, tmp_path):
    code, output = invoke(config, "--output", tmp_path / "out", "--engine", "cluster")
    assert code == 1
    assert "--engine cluster" in output
    assert "local" in output


def difference(head, value, verdict, *, split="test", reason=""):
    numbers = {"difference": value, "low": value and value - 0.01, "high": value and value + 0.01}
    return Difference(
        head=head,
        system="joint",
        baseline=f"{head} alone",
        split=split,
        metric=f"{head}_f",
        scores=[0.9, None, 0.94],
        baseline_scores=[0.9],
        **numbers,
        p=0.01,
        p_corrected=0.02,
        detectable=0.01,
        verdict=verdict,
        reason=reason,
        support=100,
    )


def test_the_table(capsys):
    result = Comparison(
        title="toy",
        config="toy.cfg",
        lang="en",
        heads=[],
        corpora={},
        budget={},
        seeds=[0],
        method="",
        alpha=0.05,
        differences=[
            difference("intent", 0.02, "helped"),
            difference("slots", None, "not measured", reason="it is never alone"),
            difference("intent", 0.5, "hurt", split="dev"),
        ],
        relative_improvement={"test": Interval(0.021, 0.01, 0.03), "dev": Interval(0.1, 0.0, 0.2)},
        costs=[Cost("joint", 1000, 2**20, 10.0, 5000.0, 2.0**28), Cost("single", 2000, 2**21, 20.0)],
        runs=[],
        failures=[Failure("slots-alone-seed0", "the disk is on fire")],
    )
    print_comparison(result)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["intent", "f", "92.00", "90.00", "+2.00", "+1.00", "to", "+3.00", "helped"] in lines
    assert not any("hurt" in line for line in lines)
    text = " ".join(word for line in lines for word in line)
    for part in (
        "joint, slots: it is never alone",
        "+2.10 +1.00 to +3.00 per cent",
        "one joint pipeline: 1,000 weights, 1.0 MiB on disk, 10 s of training, 5,000 words/s, 256 MiB of memory",
        "slots-alone-seed0 failed",
        "the disk is on fire",
    ):
        assert part in text
