"""The options of the command as texts, and the request that they stand for."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spacy.util import registry

from .corpus_spec import read_corpora
from .head_spec import read_heads
from .option_texts import check_options, find_registered, read_options, read_value
from .request import OptimizeT, Request


@dataclass(frozen=True)
class RequestOptions:
    """What stands on the command line. For the attributes see the help of the command."""

    output: str = "-"
    lang: str = "en"
    head: Sequence[str] = ()
    from_data: tuple[Path, Path] | None = None
    corpus: Sequence[str] = ()
    optimize: OptimizeT = "speed"
    transformer: str | None = None
    transformer_pipe: bool = False
    steps: int | None = None
    weight: Sequence[str] = ()
    scores: Sequence[str] = ()
    sampler: str | None = None
    rename: Sequence[str] = ()
    own_tokens: bool = False
    set: Sequence[str] = ()
    code: Path | None = None

    def read(self) -> Request:
        """Read and check the options. Raise a ValueError for one that has no meaning."""
        if self.from_data is not None and self.corpus:
            raise ValueError("--from-data and --corpus are both set; name all corpora with --corpus")
        if self.transformer_pipe and self.transformer is None:
            raise ValueError("--transformer-pipe is set, but no transformer; name one with --transformer")
        if self.sampler is not None and not self.corpus:
            raise ValueError("--sampler is for several corpora; name them with --corpus")
        heads = read_heads(self.head)
        corpora = read_corpora(self.corpus, [head.name for head in heads])
        request = Request(
            lang=self.lang,
            heads=heads,
            corpora=corpora,
            data=self.from_data,
            optimize=self.optimize,
            transformer=self.transformer,
            pipe=self.transformer_pipe,
            steps=self.steps,
            weights=read_numbers(",".join(self.weight), "--weight"),
            scores=read_numbers(",".join(self.scores), "--scores"),
            sampler=None if self.sampler is None else read_sampler(self.sampler),
            label_maps=read_label_maps(self.rename, [corpus.name for corpus in corpora]),
            own_tokens=self.own_tokens,
            settings=[read_setting(text) for text in self.set],
            words=list(self._words()),
        )
        if not heads and not request.looks_at_data:
            raise ValueError(
                "there are no heads; name them with --head NAME:KIND, or let --from-data propose them from data"
            )
        return request

    def _words(self) -> Iterator[str]:
        """The options that are set, as a shell takes them."""
        yield shlex.quote(self.output)
        for option in fields(self):
            name, value = option.name, getattr(self, option.name)
            flag = f"--{name.replace('_', '-')}"
            if name == "output" or (name != "lang" and (not value or value == option.default)):
                continue
            if value is True:
                yield flag
            elif name == "from_data":
                yield " ".join([flag, *(shlex.quote(path.as_posix()) for path in value)])
            else:
                for text in [value] if isinstance(value, str | int | Path) else value:
                    yield f"{flag} {shlex.quote(str(text))}"


def read_numbers(text: str, owner: str) -> dict[str, float]:
    """Read NAME=NUMBER,…"""
    numbers = read_options(text, owner)
    for name, value in numbers.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"{owner}: {name} is {value!r}, expected a number")
    return {name: float(value) for name, value in numbers.items()}


def read_sampler(text: str) -> dict[str, Any]:
    """Read NAME or NAME:OPTIONS as the section of a sampler."""
    short, _, rest = text.partition(":")
    functions: Mapping[str, Any] = registry.mtl_samplers.get_all()  # type: ignore[attr-defined]
    name = find_registered(functions, short, f"--sampler {text}")
    options = read_options(rest, f"--sampler {text}")
    check_options(functions[name], options, f"--sampler {text}")
    return {"@mtl_samplers": name, **options}


def read_label_maps(texts: Sequence[str], corpora: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read CORPUS:OLD=NEW,… of each corpus."""
    found = {}
    for text in texts:
        corpus, _, rest = text.partition(":")
        if corpus not in corpora:
            raise ValueError(f"--rename {text}: there is no corpus {corpus!r}; the corpora are {', '.join(corpora)}")
        found[corpus] = {old: str(new) for old, new in read_options(rest, f"--rename {text}").items()}
    return found


def read_setting(text: str) -> tuple[str, Any]:
    """Read SECTION.KEY=VALUE."""
    name, sign, value = text.partition("=")
    if not sign or "." not in name:
        raise ValueError(f"--set {text}: expected SECTION.KEY=VALUE, as in training.dropout=0.2")
    return name.strip(), read_value(value.strip())
