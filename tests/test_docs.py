"""The docs: no link is dead, the reference agrees with the code, and the examples in the guides run."""

import importlib.util
import re
import shlex
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from spacy.schemas import ConfigSchemaTraining
from spacy.util import load_config, load_config_from_str, load_model_from_config, registry
from thinc.api import Config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")})
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
# The config that a fragment of a guide is laid over; all other fragments go over configs/cpu.cfg.
BASES = {
    "domains": "cross_domain",
    "several_corpora": "multi_corpus",
    "gpu": "transformer_fast",
    "relations": "relations",
}


def load_script() -> ModuleType:
    """The module docs/make_reference.py."""
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_reference = load_script()
POINTS = [point for points in make_reference.entry_points().values() for point in points]
REFERENCE = make_reference.make_pages()


def blocks(path: Path, language: str) -> list[str]:
    """The blocks of code of a language on a page."""
    found = BLOCK.findall(path.read_text(encoding="utf8"))
    return [textwrap.dedent(code) for _, name, code in found if name == language]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    text = re.sub(BLOCK, "", path.read_text(encoding="utf8"))
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path: Path) -> list[str]:
    """The relative links and pictures of a page."""
    text = re.sub(BLOCK, "", path.read_text(encoding="utf8"))
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    return [link for pair in found for link in pair if link and not link.startswith(("http:", "https:"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{path.name} links to {link}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_and_configs_of_commands_exist(path: Path) -> None:
    for line in "\n".join(blocks(path, "bash")).replace("\\\n", " ").splitlines():
        for word in shlex.split(line, comments=True):
            if re.fullmatch(r"(benchmarks|configs)/\S+\.(py|cfg)", word):
                assert (ROOT / word).exists(), f"{path.name}: {line}"


def test_every_page_is_in_the_contents() -> None:
    contents = (DOCS / "index.md").read_text(encoding="utf8")
    trees = re.findall(r"```\{toctree\}\n(.*?)```", contents, flags=re.DOTALL)
    listed = set(re.findall(r"^(?:[\w ]+ <)?([\w/]+)>?$", "\n".join(trees), flags=re.MULTILINE))
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} - {"index"}
    assert listed == pages


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_reference_is_that_of_the_code(name: str) -> None:
    assert (DOCS / "reference" / name).read_text(encoding="utf8") == REFERENCE[name], "run make docs"


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_every_entry_point_is_in_the_reference(point: metadata.EntryPoint) -> None:
    if point.group == make_reference.COMMANDS.groups[0].name:
        assert all(f"## {name}\n" in REFERENCE["commands.md"] for name, _ in make_reference.commands())
    else:
        assert any(f"## {make_reference.title(point.name)}\n" in page for page in REFERENCE.values())


def with_an_undocumented_option(width: int, depth: int = 1) -> None:
    """Build it.

    width (int): Width of the vectors.
    """


def without_docstring() -> None:
    pass


@pytest.mark.parametrize(
    ("maker", "message"),
    [(with_an_undocumented_option, "lacks the options .'depth'."), (without_docstring, "has no docstring")],
)
def test_an_option_without_description_is_refused(maker: object, message: str) -> None:
    point = metadata.EntryPoint("x.v1", f"{__name__}:{maker.__name__}", "spacy_architectures")
    with pytest.raises(ValueError, match=message):
        make_reference.split_docstring(point)


@pytest.mark.parametrize("path", [path for path in GUIDES if blocks(path, "python")], ids=lambda path: path.stem)
def test_python_of_guides_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for code in blocks(path, "python"):
        exec(compile(code, path.name, "exec"), scope)
    # the guide to reports shows a section, not a pipeline
    assert path.stem == "report" or scope["doc"].text


FRAGMENTS = [(path.stem, text) for path in GUIDES for text in blocks(path, "ini")]


@pytest.mark.parametrize(("guide", "text"), FRAGMENTS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(FRAGMENTS)])
def test_configs_of_guides_fill(guide: str, text: str) -> None:
    if "TransformerEncoder" in text:
        pytest.importorskip("transformers")
    if "[nlp]" in text:
        config = load_config_from_str(text)
    else:
        config = load_config(ROOT / "configs" / f"{BASES.get(guide, 'cpu')}.cfg")
        config = Config(overlay(config, parse(text)))
    nlp = load_model_from_config(config, auto_fill=True)
    filled = nlp.config.interpolate()
    registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    assert "multitask" in nlp.pipe_names
    registry.resolve({"corpora": {key: value for key, value in filled["corpora"].items() if is_complete(value)}})


def parse(text: str) -> Config:
    """A fragment, with the sections above its sections."""
    names = {".".join(name.split(".")[:n]) for name in re.findall(r"^\[(.+)\]$", text, re.M) for n in range(1, 9)}
    missing = "".join(f"[{name}]\n\n" for name in sorted(names) if f"[{name}]" not in text)
    return Config().from_str(missing + text, interpolate=False)


def overlay(config: dict, fragment: dict) -> dict:
    """The config with the fragment's values. A section that names another function replaces the old one."""
    result = dict(config)
    for key, value in fragment.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        registered = {name for name in value if name.startswith("@")} if both else set()
        same = both and all(old.get(name) == value[name] for name in registered)
        result[key] = overlay(old, value) if same else value
    return result


def is_complete(section: dict) -> bool:
    """Whether a corpus has all its paths, and all its corpora a reader."""
    corpora = section.get("corpora", {})
    return section.get("path", "") is not None and all(
        one.get("reader", {}).get("path") is not None for one in corpora.values()
    )
