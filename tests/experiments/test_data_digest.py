"""Digests of the files that a config names."""

from spacy_mtl.experiments.data_digest import digest, digest_data, with_digests


def test_files_and_folders_are_found_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en").mkdir()  # a language, not a path
    for name in ("train.spacy", "folder/a.spacy", "folder/b.spacy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    config = {
        "nlp": {"lang": "en"},
        "paths": {"unused": "folder/a.spacy"},
        "corpora": {"train": {"@readers": "train.spacy", "path": "train.spacy"}, "all": {"paths_of": ["folder"]}},
        "training": {"pattern": "x" * 5000 + "[", "empty": "", "here": "."},
    }
    found = digest_data(config)
    assert sorted(found) == ["folder", "train.spacy"]
    assert with_digests(config, found)["corpora"]["train"]["path"] == found["train.spacy"]


def test_a_digest_is_of_names_and_contents(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = digest(folder)
    (folder / "a").rename(folder / "b")
    second = digest(folder)
    (folder / "b").write_text("2")
    assert len({first, second, digest(folder)}) == 3
    (folder / "b").write_text("1")
    assert digest(folder) == second
