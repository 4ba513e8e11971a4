"""Configs that `mtl init-config` writes from data alone, beside those that were made by hand.

    python benchmarks/scores/init_config.py --data ../shared/data

SNIPS beside `configs/cpu.cfg`, the English Web Treebank beside `configs/ud.cfg` and `configs/tagging.cfg`, cooking, and
SNIPS, WNUT-17 and cooking together beside `benchmarks/configs/three_corpora.cfg`. Each is trained for `--steps` steps,
or as long as its config says with `--steps 0`, chosen on dev and scored once on test, on gold tokens; half of cooking's
dev set stands for its test set.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from one_config import evaluate
from runs import Run, load_config, run_all, set_steps, table
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from spacy.util import load_config_from_str
from thinc.api import Config
from three_corpora import OURS, copy_corpora, only

from spacy_mtl.config_writer.request_options import RequestOptions
from spacy_mtl.config_writer.write_config import write_config

PROPOSED = "init-config"
# the scores of a column: the corpus, and the key by the system
ColumnT = tuple[str, Mapping[str, str]]


class Setting(NamedTuple):
    """What is compared.

    options (Callable): The folder of the corpora -> options of init-config.
    by_hand (dict[str, Callable]): The folder -> the config, by its name.
    columns (dict[str, ColumnT]): Scores by their titles.
    """

    options: Callable[[Path], RequestOptions]
    by_hand: dict[str, Callable[[Path], Config]]
    columns: dict[str, ColumnT]


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA,
        output=ROOT / "training" / "init_config",
        seeds=SEEDS,
        steps=300,
        systems=list(SETTINGS),
        jobs=1,
    )
    args = parser.parse_args()
    folder = args.output / "data"
    copy_corpora(args.data, folder)
    (folder / "ewt").mkdir(exist_ok=True)
    for file in (args.data / "ewt").glob("*.spacy"):
        (folder / "ewt" / file.name).write_bytes(file.read_bytes())
    rows = run_all(plan(args, folder), args.output, jobs=args.jobs)
    for name in args.systems:
        print(f"\n{name}\n")
        own = [row for row in rows if row["setting"] == name]
        print(table(own, "system", list(SETTINGS[name].columns)))


def plan(args: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for name in args.systems:
            setting = SETTINGS[name]
            proposed = load_config_from_str(write_config(setting.options(folder).read(), "-").text)
            configs = {PROPOSED: proposed} | {system: make(folder) for system, make in setting.by_hand.items()}
            for system, config in configs.items():
                config["system"]["seed"] = seed
                yield Run(
                    {"setting": name, "system": system, "steps": args.steps, "seed": seed},
                    of_length(config, args.steps),
                    lambda nlp, name=name, system=system: score(nlp, folder, SETTINGS[name], system),
                )


def of_length(config: Config, steps: int) -> Config:
    """A copy of so many steps, whose learning rate also rises faster; 0 leaves it as it is."""
    if not steps:
        return config
    config = config.copy()
    if isinstance(config["training"]["optimizer"]["learn_rate"], Mapping):
        config = set_steps(config, steps)
        schedule = config["training"]["optimizer"]["learn_rate"]
        schedule["warmup_steps"] = min(schedule["warmup_steps"], steps // 4)
    config["training"].update(max_steps=steps, eval_frequency=max(steps // 4, 1))
    config["training"]["max_epochs"] = min(config["training"]["max_epochs"], 0)
    return config


def score(nlp: Language, folder: Path, setting: Setting, system: str) -> dict[str, float]:
    """The scores that a system has, in per cent, on the test set of the column's corpus."""
    found: dict[str, float] = {}
    for corpus in dict.fromkeys(corpus for corpus, _ in setting.columns.values()):
        keys = {title: by[system] for title, (name, by) in setting.columns.items() if name == corpus and system in by}
        if keys:
            scores = evaluate(nlp, folder / corpus / "test.spacy", list(keys.values()))
            found |= {title: round(scores[key], 2) for title, key in keys.items()}
    return found


def one(corpus: str) -> Callable[[Path], RequestOptions]:
    """Options that name the files of one corpus."""
    return lambda folder: RequestOptions(from_data=(folder / corpus / "train.spacy", folder / corpus / "dev.spacy"))


def on(config: Path, corpus: str, **overrides: Any) -> Callable[[Path], Config]:
    """A config on the files of one corpus."""
    return lambda folder: load_config(
        config, {f"paths.{split}": str(folder / corpus / f"{split}.spacy") for split in ("train", "dev")} | overrides
    )


def by_hand(folder: Path) -> Config:
    """The config of three corpora."""
    return load_config(OURS, {"paths.corpora": str(folder)})


def same(key: str, *systems: str) -> dict[str, str]:
    """A score that has the same key in init-config and in these systems."""
    return dict.fromkeys((PROPOSED, *systems), key)


CPU, UD, TAGGING = "cpu.cfg", "ud.cfg", "tagging.cfg"
THREE, ALONE = "three_corpora.cfg", "three_corpora.cfg, cooking alone"
CONFIGS = ROOT / "configs"
SETTINGS = {
    "snips": Setting(
        one("snips"),
        {CPU: on(CONFIGS / CPU, "snips")},
        {
            "intent accuracy": ("snips", {PROPOSED: "textcat_acc", CPU: "intent_acc"}),
            "slots F1": ("snips", {PROPOSED: "ner_f", CPU: "slots_f"}),
            "exact match": ("snips", same("multitask_exact", CPU)),
        },
    ),
    "ewt": Setting(
        one("ewt"),
        {UD: on(CONFIGS / UD, "ewt"), TAGGING: on(CONFIGS / TAGGING, "ewt")},
        {
            "tag": ("ewt", same("tag_acc", UD, TAGGING)),
            "pos": ("ewt", same("pos_acc", UD, TAGGING)),
            "morph": ("ewt", same("morph_acc", UD, TAGGING)),
            "lemma": ("ewt", same("lemma_acc", UD)),
            "LAS": ("ewt", same("parser_las", UD)),
            "entities F1": ("ewt", {PROPOSED: "ner_f", UD: "entities_f", TAGGING: "entities_f"}),
            "genre accuracy": ("ewt", same("genre_acc", TAGGING)),
        },
    ),
    "cooking": Setting(
        one("cooking"),
        {ALONE: lambda folder: only(by_hand(folder), "tags")},
        {
            "macro AUC": ("cooking", {PROPOSED: "textcat_multilabel_macro_auc", ALONE: "tags_macro_auc"}),
            "macro F1": ("cooking", {PROPOSED: "textcat_multilabel_macro_f", ALONE: "tags_macro_f"}),
        },
    ),
    "three corpora": Setting(
        lambda folder: RequestOptions(corpus=[f"{name}={folder / name}" for name in ("snips", "wnut17", "cooking")]),
        {THREE: by_hand},
        {
            "intent accuracy": ("snips", {PROPOSED: "textcat_acc", THREE: "intent_acc"}),
            "slots F1": ("snips", {PROPOSED: "snips_ner_f", THREE: "slots_f"}),
            "names F1": ("wnut17", {PROPOSED: "wnut17_ner_f", THREE: "names_f"}),
            "tags macro AUC": ("cooking", {PROPOSED: "textcat_multilabel_macro_auc", THREE: "tags_macro_auc"}),
            "tags macro F1": ("cooking", {PROPOSED: "textcat_multilabel_macro_f", THREE: "tags_macro_f"}),
        },
    ),
}

if __name__ == "__main__":
    main()
