"""Write the pages of docs/reference from the docstrings of all entry points and the help of all commands.

    python docs/make_reference.py docs/reference

A factory's docstring has the form `Summary. More paragraphs. option (type): Text.`, one option a line; a line that
goes on is indented. Options of a section inside an option are indented below it. An option of the signature that the
docstring lacks, or the other way round, is an error, so that a page always shows what the config takes.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any

import typer
from spacy.cli._util import app
from spacy.language import Language
from thinc.api import Config

DISTRIBUTION = "spacy-mtl"
PREFIX = "spacy_mtl."
NOTE = "<!-- Made by `make docs` (docs/make_reference.py) from the docstrings; do not edit. -->"
COMPONENTS = "spacy_factories"
REQUIRED = inspect.Parameter.empty
OPTION = re.compile(r"^(?P<indent> *)(?P<names>\w+(?:, \w+)*) \((?P<type>[^()]+)\): (?P<text>.+)$")


@dataclass(frozen=True)
class Group:
    """A group of entry points: the name it has in setup.cfg, and the key that refers to it in a config, if any does."""

    name: str
    key: str


@dataclass(frozen=True)
class Page:
    """A page: its file, its title, what stands at its top, and the groups that it lists."""

    file: str
    title: str
    intro: str
    groups: Sequence[Group]


@dataclass
class Option:
    """An option as its docstring describes it; `nested` are the options of the section that it takes."""

    name: str
    type: str
    text: str
    nested: "list[Option]" = field(default_factory=list)


PAGES = (
    Page(
        "component.md",
        "The component",
        "The factory `multitask`, for `nlp.add_pipe` and `[components]`. "
        "[Losses and scores](../guides/losses_and_scores.md) describes what it reports.",
        [Group(COMPONENTS, "factory")],
    ),
    Page(
        "heads.md",
        "Heads",
        "A head is a section of `[components.multitask.heads]`. The key is the head's name, in losses, scores and "
        "error messages. A head learns only from docs and tokens that carry its annotation. The suggester below is "
        "for `suggester` of a `SpanClassifier`.",
        [Group("spacy_mtl_heads", "@mtl_heads"), Group("spacy_misc", "@misc")],
    ),
    Page(
        "presets.md",
        "Short names of heads",
        "What `python -m spacy mtl init-config` calls heads: `--head NAME:KIND`. Another package adds a kind by an "
        "entry point of the group `spacy_mtl_head_presets`: an object of the Protocol `HeadPreset`.",
        [Group("spacy_mtl_head_presets", "")],
    ),
    Page(
        "weightings.md",
        "Weightings",
        "A weighting turns the losses and gradients of all heads into one: `[components.multitask.weighting]`.",
        [Group("spacy_mtl_weightings", "@mtl_weightings")],
    ),
    Page(
        "samplers.md",
        "Samplers",
        "A sampler says how likely each corpus of a "
        "[`spacy_mtl.MultiCorpus.v1`](readers.md#multicorpusv1) is to give the next doc: `[corpora.train.sampler]`. "
        "Weight and size below are those of a corpus. See [Several corpora](../guides/several_corpora.md).",
        [Group("spacy_mtl_samplers", "@mtl_samplers")],
    ),
    Page(
        "sharing.md",
        "Sharing layers",
        "A sharing layer stands between the encoder and the heads and gives each head its own view of the shared "
        "vectors: `[components.multitask.model.sharing]`. Without one all heads see the same vectors.",
        [Group("spacy_mtl_sharing", "@mtl_sharing")],
    ),
    Page(
        "encoders.md",
        "Encoders",
        "Architectures for `[components.multitask.model]` and for the `model` of a `tok2vec` pipe.",
        [Group("spacy_architectures", "@architectures")],
    ),
    Page(
        "optimizers.md",
        "Optimizers, callbacks and loggers",
        "For `[training.optimizer]`, `[training.before_update]` and `[training.logger]`.",
        [
            Group("thinc_optimizers", "@optimizers"),
            Group("spacy_callbacks", "@callbacks"),
            Group("spacy_loggers", "@loggers"),
        ],
    ),
    Page(
        "readers.md",
        "Readers, batchers and augmenters",
        "For `[corpora]` and `[training.batcher]`.",
        [
            Group("spacy_readers", "@readers"),
            Group("spacy_batchers", "@batchers"),
            Group("spacy_augmenters", "@augmenters"),
        ],
    ),
    Page(
        "tools.md",
        "Engines and sections of the report",
        "What plugs into `mtl compare` and `mtl report`. No config names it: `--engine` chooses an engine, and a "
        "report has every section that is installed and has something to show.",
        [Group("spacy_mtl_engines", ""), Group("spacy_mtl_report_sections", "")],
    ),
    Page(
        "commands.md",
        "Commands",
        "The commands of `python -m spacy mtl`. `--help` after each shows the same.",
        [Group("spacy_cli", "mtl")],
    ),
)
COMMANDS = PAGES[-1]


def main(folder: Path) -> None:
    """Write all pages into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in make_pages().items():
        (folder / name).write_text(text, encoding="utf8", newline="\n")


def make_pages() -> dict[str, str]:
    """RETURNS: the text of each page by the name of its file."""
    points = entry_points()
    missing = sorted(set(points) - {group.name for page in PAGES for group in page.groups})
    if missing:
        raise ValueError(f"docs/make_reference.py: no page lists the entry points of {missing}; add them to PAGES")
    pages = {page.file: make_page(page, points) for page in PAGES if page is not COMMANDS}
    pages[COMMANDS.file] = make_commands_page()
    pages["index.md"] = make_index(points)
    return pages


def entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """RETURNS: the entry points of the installed distribution by group, each group in the order of its names."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in sorted(metadata.distribution(DISTRIBUTION).entry_points, key=lambda point: point.name):
        found.setdefault(point.group, []).append(point)
    return found


def make_page(page: Page, points: dict[str, list[metadata.EntryPoint]]) -> str:
    """RETURNS: the page, with a section for each entry point of its groups."""
    sections = [section for group in page.groups for point in points[group.name] for section in describe(point, group)]
    return "\n\n".join([f"# {page.title}", NOTE, page.intro, *sections]) + "\n"


def make_index(points: dict[str, list[metadata.EntryPoint]]) -> str:
    """RETURNS: the first page: what is registered, with the first sentence of each description."""
    parts = ["# Reference", NOTE, "What spacy-mtl registers with spaCy, and the options of each."]
    for page in PAGES[:-1]:
        rows = [
            (link(page, title(point.name), code(point.name)), first_sentence(description(point)))
            for group in page.groups
            for point in points[group.name]
        ]
        parts += [f"## {page.title}", table(("Name", "What it is"), rows)]
    rows = [(link(COMMANDS, name, code(name)), first_sentence(command.help)) for name, command in commands()]
    return "\n\n".join([*parts, f"## {COMMANDS.title}", table(("Command", "What it does"), rows)]) + "\n"


def describe(point: metadata.EntryPoint, group: Group) -> Iterator[str]:
    """The parts of an entry point's section: title, prose, config, options."""
    if not group.key:
        yield f"## {title(point.name)}"
        yield description(point)
        return
    prose, options = split_docstring(point)
    defaults = config_defaults(point)
    yield f"## {title(point.name)}"
    yield prose
    yield code_block("ini", config_lines(point, group, defaults))
    if options:
        yield table(("Option", "Default", "Description"), option_rows(options, defaults))


def description(point: metadata.EntryPoint) -> str:
    """RETURNS: the docstring of an entry point, or what a preset of a head stands for."""
    loaded = point.load()
    if point.group != "spacy_mtl_head_presets":
        return inspect.getdoc(loaded) or ""
    page = f"heads.md#{title(loaded.head).lower().replace('.', '')}"
    settings = [f"{name} = {as_config(value)}" for name, value in loaded.settings.items()]
    options = f" with {', '.join(map(code, settings))}" if settings else ""
    return f"Predict {loaded.what}: [`{loaded.head}`]({page}){options}."


def config_defaults(point: metadata.EntryPoint) -> dict[str, Any]:
    """RETURNS: the defaults of the options that a config sets, `REQUIRED` for those without one.

    The factory of a component has them in its `default_config`; spaCy itself passes `nlp` and `name`.
    """
    maker = point.load()
    if point.group == COMPONENTS:
        return dict(Language.get_factory_meta(point.name).default_config)
    return {name: parameter.default for name, parameter in inspect.signature(maker).parameters.items()}


def config_lines(point: metadata.EntryPoint, group: Group, defaults: dict[str, Any]) -> Sequence[str]:
    """RETURNS: the lines of a config that sets each option to its default, or to `...` if it has none."""
    if point.group == COMPONENTS:
        section = {group.key: point.name, **defaults}
        return Config({"components": {point.name: section}}).to_str(interpolate=False).splitlines()
    lines = (f"{name} = {'...' if value is REQUIRED else as_config(value)}" for name, value in defaults.items())
    return [f"{group.key} = {as_config(point.name)}", *lines]


def split_docstring(point: metadata.EntryPoint) -> tuple[str, list[Option]]:
    """RETURNS: the prose before the options, and the options. Raises a ValueError unless they are those of the code."""
    docstring = inspect.getdoc(point.load())
    if not docstring:
        raise ValueError(f"{point.name}: {point.value} has no docstring; describe it and its options there")
    lines = docstring.splitlines()
    start = next((index for index, line in enumerate(lines) if OPTION.match(line)), len(lines))
    options = list(read_options(lines[start:]))
    described, expected = {option.name for option in options}, set(config_defaults(point))
    if described != expected:
        raise ValueError(
            f"{point.name}: the docstring of {point.value} lacks the options {sorted(expected - described)} and has "
            f"{sorted(described - expected)}, which are no options"
        )
    return "\n".join(lines[:start]).strip(), options


def read_options(lines: Sequence[str]) -> Iterator[Option]:
    """Options of a docstring's last part, those indented below an option as its nested ones."""
    found: list[Option] = []
    for line in lines:
        match = OPTION.match(line)
        if match is None:
            last = found[-1].nested[-1] if found[-1].nested else found[-1]
            last.text = f"{last.text} {line.strip()}".strip()
            continue
        new = [Option(name, match["type"], match["text"]) for name in match["names"].split(", ")]
        if match["indent"]:
            found[-1].nested.extend(new)
        else:
            found.extend(new)
    yield from found


def option_rows(options: Sequence[Option], defaults: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The rows of a table of options; nested ones are named `outer.*.inner`."""
    for option in options:
        yield code(option.name), shown_value(defaults[option.name]), f"{option.text} *{option.type}*"
        for inner in option.nested:
            yield code(f"{option.name}.*.{inner.name}"), "", f"{inner.text} *{inner.type}*"


def shown_value(value: Any) -> str:
    """RETURNS: a default as a table shows it. That of a whole section stands in the config above the table."""
    if value is REQUIRED:
        return "required"
    return "see above" if isinstance(value, dict) and value else code(as_config(value))


def as_config(value: Any) -> str:
    """RETURNS: a value as it stands in a config."""
    return json.dumps(value, ensure_ascii=False)


def make_commands_page() -> str:
    """RETURNS: the page of all commands."""
    sections = [section for name, command in commands() for section in describe_command(name, command)]
    return "\n\n".join([f"# {COMMANDS.title}", NOTE, COMMANDS.intro, *sections]) + "\n"


def commands() -> list[tuple[str, Any]]:
    """RETURNS: names and click commands of `python -m spacy mtl`."""
    for point in entry_points()[COMMANDS.groups[0].name]:
        point.load()
    group: Any = typer.main.get_command(app)
    return list(leaves(group.commands[COMMANDS.groups[0].key]))


def leaves(group: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of the groups in it, each with all its names: "heads add"."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from leaves(command, *names, name)
        else:
            yield " ".join([*names, name]), command


def describe_command(name: str, command: Any) -> Iterator[str]:
    """The parts of a command's section: title, usage, help, arguments and options."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join(["python -m spacy mtl", name, *(param.name.upper() for param in arguments)])
    yield f"## {name}"
    yield code_block("text", [f"{usage} [OPTIONS]"])
    yield from help_paragraphs(command)
    yield table(("Argument or option", "Default", "Description"), [param_row(param) for param in command.params])


def help_paragraphs(command: Any) -> Iterator[str]:
    """The paragraphs of a command's help. One that starts with `\\b` keeps its lines, so it becomes a block of code."""
    if not command.help:
        raise ValueError(f"spacy mtl {command.name}: the command has no docstring")
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        lines = paragraph.splitlines()
        if lines[0] == "\b":
            yield code_block("text", lines[1:])
        else:
            yield escape(paragraph)


def param_row(param: Any) -> tuple[str, str, str]:
    """The row of an argument or option. Raises a ValueError if it has no help."""
    if not param.help:
        raise ValueError(f"spacy mtl: {param.name} has no help")
    if param.param_type_name == "argument":
        return code(param.name.upper()), "required", escape(param.help)
    names = ", ".join(code(name) for name in (*param.opts, *param.secondary_opts))
    choices = [code(choice.value) for choice in type(param.default)] if isinstance(param.default, Enum) else []
    text = escape(param.help) + (f": {', '.join(choices)}" if choices else "")
    return names, "required" if param.required else shown_default(param), text


def shown_default(param: Any) -> str:
    """RETURNS: an option's default; nothing for flags that are off and options that are not set."""
    default = getattr(param.default, "value", param.default)
    if default is None or (default is False and not param.secondary_opts):
        return ""
    if isinstance(default, bool):
        return code((param.opts if default else param.secondary_opts)[0])
    return code(str(default))


def title(name: str) -> str:
    """RETURNS: the title of a registered function: its name without that of the package, as in `DocClassifier.v1`."""
    return name.removeprefix(PREFIX)


def link(page: Page, heading: str, text: str) -> str:
    """RETURNS: a link to a heading, with the anchor that GitHub and MyST give it."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{text}]({page.file}#{anchor})"


def first_sentence(text: str) -> str:
    """RETURNS: the first sentence of a description, on one line and without the sources in brackets."""
    line = re.sub(r" \([^()]*\b(19|20)\d\d\b[^()]*\)", "", " ".join(text.split()))
    return re.split(r"(?<=\.)\s", line, maxsplit=1)[0].rstrip(".") + "."


def table(header: Sequence[str], rows: Any) -> str:
    """RETURNS: a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code_block(language: str, lines: Sequence[str]) -> str:
    """RETURNS: a block of code in Markdown."""
    return "\n".join([f"```{language}", *lines, "```"])


def code(text: str) -> str:
    """RETURNS: code within a line."""
    return f"`{text}`"


def escape(text: str) -> str:
    """RETURNS: plain text whose characters mean nothing in Markdown."""
    return re.sub(r"([*_<>`\[\]])", r"\\\1", text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
