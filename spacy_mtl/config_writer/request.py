"""What a user asks for: the options of the command, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .corpus_spec import CorpusSpec
from .head_spec import HeadSpec

OptimizeT = Literal["speed", "accuracy"]
COMMAND = "python -m spacy mtl init-config"
WIDTH = 116


@dataclass(frozen=True)
class Request:
    """What the config is for.

    heads (Sequence[HeadSpec]): The heads; empty to propose them from data.
    corpora (Sequence[CorpusSpec]): Several corpora; empty for one.
    data (tuple[Path, Path] | None): Train and dev file to look at, if there is one corpus.
    transformer (str | None): A pretrained transformer; None for an encoder that is trained from scratch.
    pipe (bool): Whether the transformer is in a pipe of its own.
    steps (int | None): Number of steps; None for what fits the data.
    weights (Mapping[str, float]): Factors of heads' losses.
    scores (Mapping[str, float]): Weights of scores, in the place of all others.
    sampler (Mapping[str, Any] | None): Section of the sampler.
    label_maps (Mapping[str, Mapping[str, str]]): New names of labels, by corpus.
    own_tokens (bool): Whether the pipeline's tokenizer is used in training.
    settings (Sequence[tuple[str, Any]]): Other values by dotted names.
    words (Sequence[str]): The options as a shell takes them, each with its value, for the config's first line.
    """

    lang: str = "en"
    heads: Sequence[HeadSpec] = ()
    corpora: Sequence[CorpusSpec] = ()
    data: tuple[Path, Path] | None = None
    optimize: OptimizeT = "speed"
    transformer: str | None = None
    pipe: bool = False
    steps: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    sampler: Mapping[str, Any] | None = None
    label_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    own_tokens: bool = False
    settings: Sequence[tuple[str, Any]] = ()
    words: Sequence[str] = ()

    @property
    def looks_at_data(self) -> bool:
        """Whether heads or numbers come from the data."""
        return self.data is not None or any(not corpus.heads for corpus in self.corpora)


def command_lines(words: Sequence[str]) -> list[str]:
    """The command as lines of a shell, which go on after a backslash. An option stays on the line of its value."""
    lines = [COMMAND]
    for word in words:
        if len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"  {word}")
    return lines
