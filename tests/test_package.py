"""The distribution: the installed version, its metadata, and the contents of wheel and sdist."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import spacy_mtl
from spacy_mtl.protocols.head_preset import HeadPreset

ROOT = Path(__file__).parents[1]
IMPORTED = Path(spacy_mtl.__file__).parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf8")


def module_files(package: Path) -> dict[str, bytes]:
    """Contents of the files that belong in the wheel, by path below the package."""
    folders = [package / "report" / "assets", package / "report" / "templates", package / "config_writer" / "templates"]
    others = [file for folder in folders for file in folder.iterdir()]
    files = [*package.rglob("*.py"), *others, package / "py.typed"]
    return {file.relative_to(package).as_posix(): file.read_bytes() for file in files}


@pytest.mark.skipif(os.environ.get("SPACY_MTL_INSTALLED") != "1", reason="only with the wheel of make test")
def test_the_installed_wheel_is_tested() -> None:
    assert IMPORTED != ROOT / "spacy_mtl"
    assert IMPORTED.parent.name == "site-packages"


def test_the_installed_package_is_the_source() -> None:
    installed, source = module_files(IMPORTED), module_files(ROOT / "spacy_mtl")
    differing = sorted(name for name in {*installed, *source} if installed.get(name) != source.get(name))
    assert not differing, f"{IMPORTED} is not the source: make setup (editable), or make clean and make test"


def test_metadata() -> None:
    info = metadata.metadata("spacy-mtl")
    assert info["Version"] == SETUP["metadata"]["version"] == spacy_mtl.__version__
    assert info["License"] == "MIT"
    assert info["Requires-Python"] == ">=3.10"
    assert {"dev", "transformers"} <= set(info.get_all("Provides-Extra"))
    required = {re.split("[<>=]", line)[0] for line in metadata.requires("spacy-mtl") or () if "extra ==" not in line}
    assert required == {"spacy", "thinc", "catalogue", "numpy", "threadpoolctl", "scipy", "jinja2"}
    assert info.get_payload().startswith("# spacy-mtl")


GROUPS = sorted(SETUP["options.entry_points"])


@pytest.mark.parametrize("group", GROUPS)
def test_entry_points(group: str) -> None:
    declared = dict(line.split(" = ") for line in SETUP["options.entry_points"][group].strip().splitlines())
    installed = {point.name: point for point in metadata.distribution("spacy-mtl").entry_points if point.group == group}
    assert {name: point.value for name, point in installed.items()} == declared, "run make setup: setup.cfg has changed"
    loaded = [point.load() for point in installed.values()]
    assert all(callable(one) or isinstance(one, HeadPreset) for one in loaded)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    pytest.importorskip("build")
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "snips")
    for name in ("assets", "benchmarks", "configs", "docs", "spacy_mtl", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for file in ROOT.iterdir():
        if file.is_file() and file.name != "project.lock":
            shutil.copy(file, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def test_wheel_has_every_module(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    expected = {f"spacy_mtl/{name}" for name in module_files(ROOT / "spacy_mtl")}
    assert {name for name in names if ".dist-info/" not in name} == expected
    info = {name.split(".dist-info/")[1] for name in names - expected}
    assert {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"} <= info


def test_sdist_has_what_a_clone_has(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    expected = {"Makefile", "constraints.txt", "project.yml", "configs/cpu.cfg", "assets/make_intents.py", "LICENSE"}
    assert expected | {"tests/test_package.py", "spacy_mtl/py.typed"} <= names
