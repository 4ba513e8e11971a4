"""Checks of a co-training run, all before the first training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language
from spacy.util import load_model_from_config
from thinc.api import Config
from tqdm import tqdm

from ..calibration.label_threshold import chosen_confidences, saved_thresholds
from ..experiments.learner import dev_reader, find_component
from ..experiments.seeding import seed_of
from ..protocols.head import Head
from ..protocols.head_confidence import SelfLabelling
from ..readers.unlabelled_corpus import UnlabelledCorpus
from .learner_configs import make_learner_configs
from .round_corpus import check_train_corpus
from .settings import Settings


@dataclass
class Plan:
    """A run that was checked.

    configs (dict[str, Config]): Configs of the learners, by name.
    component (str): Name of the component `multitask` in the pipeline.
    thresholds (dict[str, float]): Thresholds of the heads that can label texts.
    unable (list[str]): Names of the heads that cannot, since they give no confidence.
    reader (UnlabelledCorpus): Reader of the raw texts.
    n_raw (int): Number of raw texts.
    seed (int): Seed of the first learner.
    """

    configs: dict[str, Config]
    component: str
    thresholds: dict[str, float]
    unable: list[str]
    reader: UnlabelledCorpus
    n_raw: int
    seed: int


def make_plan(config: Config, raw: Path, output: Path, settings: Settings) -> Plan:
    """Check the run. Raises a ValueError that names what is wrong: settings, heads, files, the output folder."""
    check_output(output)
    nlp = load_model_from_config(config, auto_fill=True)
    pipe = find_component(nlp)
    thresholds, unable = choose_heads(pipe.heads, settings)
    configs = make_learner_configs(nlp.config, settings)
    seed = seed_of(nlp.config)
    check_train_corpus(nlp.config)
    reader = UnlabelledCorpus(raw)
    n_raw = sum(1 for _ in tqdm(reader(nlp), desc=raw.name, unit=" texts", disable=None))
    check_dev(nlp)
    return Plan(configs, pipe.name, thresholds, unable, reader, n_raw, seed)


def check_output(output: Path) -> None:
    """Raise a ValueError if something is there already."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} exists already and is not an empty folder; name a new one")


def choose_heads(heads: Mapping[str, Head], settings: Settings) -> tuple[dict[str, float], list[str]]:
    """RETURNS: the thresholds of the heads that can label, and the names of the others."""
    unknown = sorted(set(settings.thresholds) - set(heads))
    if unknown:
        raise ValueError(f"thresholds are given for {unknown}, but the heads are {list(heads)}")
    able = {key: head for key, head in heads.items() if isinstance(head, SelfLabelling)}
    without = sorted(set(settings.thresholds) - set(able))
    if without or not able:
        raise ValueError(
            f"heads {without or list(heads)} give no confidence (Protocol SelfLabelling), so they get no labels"
        )
    check_shared_gold(able)
    return thresholds_of(list(able), settings), [key for key in heads if key not in able]


def thresholds_of(heads: Sequence[str], settings: Settings) -> dict[str, float]:
    """The threshold of each head: its own, that of the calibrated pipeline, or the common one. Raises a ValueError if
    the calibrated pipeline has found that a head has none.
    """
    found: dict[str, float] = {}
    if settings.calibrated is not None:
        saved = saved_thresholds(settings.calibrated)
        asked = [(head, head) for head in heads if head in saved and head not in settings.thresholds]
        found = chosen_confidences(settings.calibrated, saved, asked)
    return {head: settings.thresholds.get(head, found.get(head, settings.threshold)) for head in heads}


def check_shared_gold(heads: Mapping[str, SelfLabelling]) -> None:
    """Raise a ValueError if one head's labels would be another's gold."""
    learners: dict[str, str] = {}
    for key, head in heads.items():
        for written in head.learns_from:
            other = learners.setdefault(written, key)
            if other != key:
                raise ValueError(
                    f"heads {other!r} and {key!r} both learn from {written}, so the labels of one would become gold of "
                    "the other; co-train them in pipelines of their own"
                )


def check_dev(nlp: Language) -> None:
    """Raise an error if the dev corpus can't be read or is empty."""
    if next(iter(dev_reader(nlp)(nlp)), None) is None:
        raise ValueError(f"{nlp.config['training']['dev_corpus']}: it gives no docs; each round is scored on them")
