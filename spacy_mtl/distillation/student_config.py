"""The student's config: the user's, with readers that add what the teachers say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..experiments.corpus_sections import MULTI_CORPUS, is_multi_corpus, reader_section
from ..readers.taught_corpus import READER
from .distil_settings import DistilSettings

CORPUS, GOLD, AUGMENTED = "distillation", "gold", "augmented"


def make_student_config(
    config: Config,
    settings: DistilSettings,
    *,
    component: str,
    labels: Mapping[str, Sequence[str]],
    targets: Mapping[str, Sequence[Path]],
    taught: Mapping[str, Path],
) -> Config:
    """Let the training read the gold and the taught docs, both with the teachers' soft targets.

    config (Config): A filled training config, not interpolated.
    labels (Mapping[str, Sequence[str]]): The labels of all heads.
    targets (Mapping[str, Sequence[Path]]): Folders of the teachers' passes by the name of the texts, "gold" among them.
    taught (Mapping[str, Path]): Folders of the other texts with the teachers' labels.
    RAISES ValueError: The config has sections of these names already.
    """
    changed = config.copy()
    if CORPUS in changed["corpora"]:
        raise ValueError(f"corpora: the config has a section {CORPUS!r} already; rename it")
    sections: dict[str, Any] = {}
    sampler: dict[str, Any] = {"@mtl_samplers": "spacy_mtl.Proportional.v1"}
    base: dict[str, Any] = {
        "@readers": MULTI_CORPUS,
        "sampler": sampler,
        "seed": changed.interpolate()["training"]["seed"],
    }
    if settings.gold:
        reader = reader_section(changed, "train_corpus")
        if is_multi_corpus(reader):
            base |= {key: value for key, value in reader.items() if key != "corpora"}
            sections |= reader["corpora"]
        else:
            sections[GOLD] = {"reader": reader}
        targeted = targets.get(GOLD, ())
        for name, section in sections.items():
            if section.get("augmenter") and targeted and settings.labels == "soft":
                raise ValueError(
                    f"corpora: the corpus {name!r} has an augmenter, after which the teachers' targets would belong to "
                    "other words; set it in the corpus's reader instead, or use --labels hard"
                )
            section["weight"] = section.get("weight", 1.0) * settings.gold_weight
            section["reader"] = taught_reader(section["reader"], settings, targeted, steps_of(changed, settings))
    for name, path in taught.items():
        if name in sections:
            raise ValueError(f"{config['training']['train_corpus']}: it has a corpus {name!r} already; rename it")
        plain = {"@readers": "spacy_mtl.Corpus.v1", "path": str(path), "gold_tokens": True}
        reader = taught_reader(plain, settings, targets.get(name, ()), 0)
        if name == AUGMENTED:
            reader = {"@readers": READER, "targets": [], "reader": plain} if reader is plain else reader
            reader["augmented"] = True
        sections[name] = {"reader": reader}
    changed["corpora"][CORPUS] = base | {"corpora": sections}
    changed["training"]["train_corpus"] = f"corpora.{CORPUS}"
    components = changed["initialize"].setdefault("components", {})
    components.setdefault(component, {})["labels"] = {head: list(own) for head, own in labels.items()}
    return changed


def taught_reader(
    reader: dict[str, Any], settings: DistilSettings, targets: Sequence[Path], steps: int
) -> dict[str, Any]:
    """The section of a reader with soft targets; without targets the reader itself."""
    if settings.labels == "hard" or not targets:
        return reader
    return {
        "@readers": READER,
        "reader": reader,
        "targets": [str(path) for path in targets],
        "gold_share": settings.gold_share,
        "anneal_steps": steps,
    }


def steps_of(config: Config, settings: DistilSettings) -> int:
    """The number of steps in which the gold takes over."""
    return int(config.interpolate()["training"]["max_steps"]) if settings.anneal else 0
