"""Numbers of a training that depend on the size of the data: steps, batches, the sampler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .commented_config import read_template
from .corpus_docs import CorpusDocs
from .request import Request

# steps from random weights, and from pretrained ones
FEWEST_STEPS = {"cnn": 1200, "transformer": 600}
# docs longer than this on average need larger batches in training, and smaller ones in prediction
LONG, DOCS_IN_BATCH = 50.0, 8
# corpora whose numbers of words differ by more than this are drawn with a temperature
UNEVEN = 8.0


@dataclass(frozen=True)
class Numbers:
    """Values by dotted names, and their reasons."""

    values: dict[str, Any]
    why: dict[str, str]


def choose_numbers(request: Request, corpora: Sequence[CorpusDocs]) -> Numbers:
    """Choose steps and batches."""
    lengths = np.array([len(eg.reference) for corpus in corpora for eg in corpus.train])
    values, why = _batches(request, lengths)
    if request.steps is None:
        values["training.max_steps"], why["training.max_steps"] = _steps(request, lengths, values)
    return Numbers(values, why)


def _batches(request: Request, lengths: Any) -> tuple[dict[str, Any], dict[str, str]]:
    mean = float(lengths.mean())
    if mean <= LONG:
        return {}, {}
    said = f"The docs have {mean:.0f} tokens on average"
    values: dict[str, Any] = {"nlp.batch_size": 64}
    why = {"nlp.batch_size": f"{said}: fewer in a batch need less memory."}
    if request.transformer is None:
        size = min(int(np.ceil(mean * DOCS_IN_BATCH / 100)) * 100, 2000)
        values["training.batcher.size"] = size
        why["training.batcher.size"] = f"{said}: so many words are about {size / mean:.0f} docs."
    return values, why


def _steps(request: Request, lengths: Any, values: Mapping[str, Any]) -> tuple[int, str]:
    """Twenty passes over the data, or six of a pretrained transformer; with `--optimize accuracy` more. Not more steps
    than a corpus of 13,000 utterances got in the measurements.
    """
    encoder = "cnn" if request.transformer is None else "transformer"
    template = read_template(encoder)
    most, passes = template.config["training"]["max_steps"], 20 if encoder == "cnn" else 6
    if request.optimize == "accuracy":
        more = read_template(f"{encoder}_accuracy").config["training"]["max_steps"]
        passes, most = round(passes * more / most), more
    size = values.get("training.batcher.size", template.config["training"]["batcher"]["size"])
    units = int(lengths.sum()) if encoder == "cnn" else len(lengths)
    wanted = passes * units / size
    fewest = FEWEST_STEPS[encoder]
    steps = int(np.ceil(np.clip(wanted, fewest, most) / 100)) * 100
    unit = "words" if encoder == "cnn" else "docs"
    reason = f"{steps * size / units:.1f} passes over {units:,} {unit} in batches of {size}"
    if wanted > most:
        reason += f"; {passes} passes would take {wanted:,.0f} steps, and {most:,} are the most that is proposed"
    elif wanted < fewest:
        reason += f"; {passes} passes would be {wanted:,.0f} steps, and {fewest:,} are the fewest that is proposed"
    return steps, f"{reason}."


def choose_sampler(corpora: Sequence[CorpusDocs]) -> tuple[dict[str, Any], str]:
    """Draw each doc once in a pass, unless one corpus would drown another."""
    words = {corpus.name: corpus.n_words for corpus in corpora}
    ratio = max(words.values()) / min(words.values())
    said = ", ".join(f"{name} {number:,}" for name, number in words.items())
    if ratio > UNEVEN:
        return (
            {"@mtl_samplers": "spacy_mtl.Temperature.v1", "tau": 2.0},
            f"Words of the corpora: {said}. The largest has {ratio:.0f} times as many as the smallest, so the smaller "
            "ones are drawn more often than their size says.",
        )
    return (
        {"@mtl_samplers": "spacy_mtl.Proportional.v1"},
        f"Words of the corpora: {said}. The largest has {ratio:.1f} times as many as the smallest, so each doc is "
        "drawn once in a pass.",
    )
