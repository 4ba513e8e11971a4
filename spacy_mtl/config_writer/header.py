"""The first lines of a config: the command that wrote it, what it is, its data, how to train and change it."""

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from thinc.api import Config

from ..protocols.head import Head
from .commented_config import wrapped
from .config_plan import Plan
from .request import Request, command_lines

ENCODERS = {False: "an encoder that is trained from scratch", True: "a pretrained transformer"}
AIMS = {"speed": "fast", "accuracy": "slower and more accurate than with --optimize speed"}


def header_lines(request: Request, plan: Plan, heads: Mapping[str, Head], config: Config, output: str) -> list[str]:
    """The header, without the signs of comments."""
    texts = {
        "What": what(request, plan),
        "Data": data(plan, heads),
        "Train": train(request, plan, output),
        "Override": override(request, plan, config),
    }
    return [
        *command_lines(request.words),
        *(line for name, text in texts.items() for line in wrapped(f"{name}: {text}")),
    ]


def what(request: Request, plan: Plan) -> str:
    """The heads and their encoder."""
    heads = ", ".join(f"{head.name} ({head.preset.what})" for head in plan.heads)
    return f"{heads}, on {ENCODERS[request.transformer is not None]}; {AIMS[request.optimize]}."


def data(plan: Plan, heads: Mapping[str, Head]) -> str:
    """What the docs hold, and where the corpora are."""
    gold = ", ".join(dict.fromkeys(place for head in plan.heads for place in heads[head.name].gold_attributes))
    corpora = "; ".join(f"{corpus.name} for {', '.join(corpus.heads)}" for corpus in plan.corpora)
    return f"{f'corpora {corpora}. Gold: ' if corpora else ''}{gold}. Any may be missing, in any doc."


def train(request: Request, plan: Plan, output: str) -> str:
    """The command that trains it."""
    paths = plan.paths if plan.corpora or request.data else {"train": "train.spacy", "dev": "dev.spacy"}
    shown = {name: path for name, path in paths.items() if name != "transformer"}
    options = [f"--paths.{name} {shlex.quote(path)}" for name, path in shown.items()]
    file = "config.cfg" if output == "-" else PurePath(output).as_posix()
    return " ".join(["python -m spacy train", shlex.quote(file), *options, "--output training"])


def override(request: Request, plan: Plan, config: Config) -> str:
    """Settings to try first."""
    training: dict[str, Any] = config["training"]
    head = max(plan.heads, key=lambda head: head.weight)
    options = [
        "--paths.transformer roberta-base" if request.transformer is not None else "",
        f"--training.max_steps {2 * training['max_steps']}" if training["max_steps"] else "",
        f"--components.multitask.weighting.weights.{head.name} {head.weight / 2}",
        "--system.seed 1",
    ]
    return " ".join(filter(None, options))
