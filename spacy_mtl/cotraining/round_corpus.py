"""The config of a later round: its training corpus is the gold and the labels that were taken."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..experiments.corpus_sections import MULTI_CORPUS, is_multi_corpus, reader_section
from .learner_configs import settings_named

PSEUDO = "pseudo"
CORPUS = "co_training"
# The setting of our reader and that of spaCy's.
GOLD_TOKENS = ("gold_tokens", "gold_preproc")


def with_pseudo_labels(config: Config, path: Path, component: str, labels: Mapping[str, Sequence[str]]) -> Config:
    """Let the training read the gold and a file of labelled docs.

    The gold's reader becomes the corpus "gold" of a `MultiCorpus` that draws in proportion to the sizes, each doc once
    a pass. If it is a `MultiCorpus` itself, it keeps its sampler and gets one more corpus.

    config (Config): A filled training config, not interpolated.
    path (Path): The .spacy file of the labelled docs.
    component (str): The name of the component in the pipeline.
    labels (Mapping[str, Sequence[str]]): The labels of all heads, as found in the gold.
    """
    changed = config.copy()
    gold = reader_section(changed, "train_corpus")
    pseudo = {"reader": pseudo_reader(path, gold_tokens=uses_gold_tokens(gold))}
    if is_multi_corpus(gold):
        gold["corpora"][PSEUDO] = pseudo
        section = gold
    else:
        section = {
            "@readers": MULTI_CORPUS,
            "sampler": {"@mtl_samplers": "spacy_mtl.Proportional.v1"},
            "seed": config.interpolate()["training"]["seed"],
            "corpora": {"gold": {"reader": gold}, PSEUDO: pseudo},
        }
    changed["corpora"][CORPUS] = section
    changed["training"]["train_corpus"] = f"corpora.{CORPUS}"
    components = changed["initialize"].setdefault("components", {})
    components.setdefault(component, {})["labels"] = {head: list(own) for head, own in labels.items()}
    return changed


def check_train_corpus(config: Config) -> None:
    """Raise a ValueError for a config to which no labelled docs can be added."""
    section = reader_section(config, "train_corpus")
    if is_multi_corpus(section) and PSEUDO in section["corpora"]:
        raise ValueError(f"{config['training']['train_corpus']}: it has a corpus {PSEUDO!r} already; rename it")
    if CORPUS in config["corpora"]:
        raise ValueError(f"corpora: it has a section {CORPUS!r} already; rename it")


def uses_gold_tokens(section: Mapping[str, Any]) -> bool:
    """Whether a reader of the gold takes the tokens as they are in the file."""
    return any(value is True for name in GOLD_TOKENS for _, value in settings_named(name, section, ""))


def pseudo_reader(path: Path, *, gold_tokens: bool) -> dict[str, Any]:
    """The section of the reader of labelled docs."""
    return {"@readers": "spacy_mtl.Corpus.v1", "path": str(path), "gold_tokens": gold_tokens}
