"""Folders that one process at a time may write to, with nobody's files in them."""

import os
import subprocess
import sys

import pytest

from spacy_mtl.experiments.output_folder import claim

MARKER = "own.lock"


def test_a_folder_is_made_and_marked(tmp_path):
    with claim(tmp_path / "deep" / "out", MARKER):
        assert (tmp_path / "deep" / "out" / MARKER).exists()
    with claim(tmp_path / "deep" / "out", MARKER):
        pass


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(ValueError, match=r"holds files that are not results.*name a new or empty folder"),
        claim(tmp_path, MARKER),
    ):
        pass
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.skipif(os.name == "nt", reason="no locks that children inherit")
def test_a_child_holds_the_folder_when_its_parent_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mtl.experiments.output_folder.PATIENCE", 0.2)
    with claim(tmp_path / "out", MARKER) as inherited:
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=inherited)
    try:
        with pytest.raises(ValueError, match="another process is working"), claim(tmp_path / "out", MARKER):
            pass
    finally:
        child.communicate()
    with claim(tmp_path / "out", MARKER):
        pass
