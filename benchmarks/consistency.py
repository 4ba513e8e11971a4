"""What decoding class and entities together does to each set: the same weights without it, with it, and as a hard rule.

    python benchmarks/consistency.py --data ../shared/data

Trains `configs/cpu.cfg` with three seeds on each set, without `consistent_with`, so that dev chooses the model as if it
did not exist. Each model then annotates dev and test three times: without; with the costs that training gives to
combinations of a class and entity types that it does not show (what `consistent_with` does); and with those
combinations forbidden ("hard"). Runs and scores that are there already are not made again.

Sets: SNIPS lower-cased and cased, HWU64 (entities with the scenario, and with the action), the data that the project
makes in English and Chinese, and two made of SNIPS to see harm: 400 docs to train on, and a split in which 12 % of dev
and test docs have two types together that train never shows in a doc of their class. The intents of NLU++ are not
exclusive, so nothing can be decoded with them.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import spacy
from alternate import DATA
from hwu64 import make_config as make_hwu64_config
from runs import load_config, read_docs, set_steps, train, write_docs
from spacy.tokens import Doc
from thinc.api import Config

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "assets"))
CONFIG = ROOT / "configs" / "cpu.cfg"
SPLITS = ("train", "dev", "test")
SMALL = 400
# docs with a pair that train lacks, in the split that is made so
UNSEEN_SHARE = 0.12
RARE = (5, 150)


@dataclass
class DataSet:
    """steps (int): Of the training. entities (str), classifiers (list[str]): The heads that may be decoded together.
    score (str): Prefix of the classifier's scores. make (Callable): Writes the splits to a folder, unless it is given.
    """

    folder: Path
    make_config: Callable[[Path, int], Config]
    entities: str
    classifiers: Sequence[str]
    make: Callable[[Path], None] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with snips, snips_cased and hwu64")
    parser.add_argument("--output", type=Path, default=ROOT / "training" / "consistency")
    parser.add_argument("--sets", nargs="+", help="only these")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    sets = data_sets(args.data, args.output / "data")
    for seed in args.seeds:
        for name in args.sets or sets:
            train_once(sets[name], args.output / f"{name}-{seed}", seed)


def data_sets(data: Path, made: Path) -> dict[str, DataSet]:
    """All sets by name. made (Path): Where those are written that are made here."""
    snips = {"make_config": make_snips_config, "entities": "slots", "classifiers": ["intent"]}
    return {
        "made_en": DataSet(made / "en", make_short_config, "slots", ["intent"], partial(grammar, "en")),
        "made_zh": DataSet(made / "zh", make_chinese_config, "slots", ["intent"], partial(grammar, "zh")),
        "hwu64": DataSet(data / "hwu64", make_hwu64, "entities", ["scenario", "action"]),
        "snips": DataSet(data / "snips", **snips),
        "snips_resplit": DataSet(made / "resplit", **snips, make=partial(resplit, data / "snips")),
        "snips_cased": DataSet(data / "snips_cased", **snips),
        "snips_small": DataSet(made / "small", make_short_config, "slots", ["intent"], partial(shrink, data / "snips")),
    }


def make_snips_config(folder: Path, seed: int, **settings: Any) -> Config:
    """`configs/cpu.cfg` without `consistent_with`."""
    settings |= {f"paths.{split}": str(folder / f"{split}.spacy") for split in ("train", "dev")}
    settings |= {"system.seed": seed, "components.multitask.heads.slots.consistent_with": None}
    return load_config(CONFIG, settings)


def make_short_config(folder: Path, seed: int) -> Config:
    """The same with a quarter of the steps."""
    return set_steps(make_snips_config(folder, seed), 1200)


def make_chinese_config(folder: Path, seed: int) -> Config:
    """The same with the tokenizer that makes each character a token."""
    settings = {"nlp.lang": "zh", "nlp.tokenizer.@tokenizers": "spacy.zh.ChineseTokenizer"}
    return set_steps(make_snips_config(folder, seed, **settings), 600)


def make_hwu64(folder: Path, seed: int) -> Config:
    """Scenario, action and entities together."""
    args = argparse.Namespace(data=folder, encoder="CNN", steps=2400)
    return make_hwu64_config(args, ["scenario", "action", "entities"], seed=seed)


def grammar(lang: str, folder: Path) -> None:
    """Draw the set from the project's grammar, as `project.yml` does."""
    from make_intents import make_corpus

    for split, docs in make_corpus(lang, 0).items():
        write_docs(docs, folder / f"{split}.spacy")


def shrink(source: Path, folder: Path) -> None:
    """Keep a few random docs to train on, and dev and test as they are."""
    for split in SPLITS:
        docs = read_docs(source / f"{split}.spacy", spacy.blank("en"))
        if split == "train":
            docs = random.Random(0).sample(docs, SMALL)
        write_docs(docs, folder / f"{split}.spacy")


def resplit(source: Path, folder: Path) -> None:
    """Draw rare pairs of types of a class, take all docs that have one out of train, and put so many of them into dev
    and test that they are 12 % of each; the others are dropped.
    """
    nlp = spacy.blank("en")
    splits = {split: read_docs(source / f"{split}.spacy", nlp) for split in SPLITS}
    docs = [doc for split in SPLITS for doc in splits[split]]
    rng = random.Random(0)
    rng.shuffle(docs)
    counts = Counter(pair for doc in docs for pair in pairs_of(doc))
    rare = sorted(pair for pair, number in counts.items() if RARE[0] <= number <= RARE[1])
    rng.shuffle(rare)
    sizes = {split: len(splits[split]) for split in ("dev", "test")}
    wanted = {split: round(UNSEEN_SHARE * size) for split, size in sizes.items()}
    chosen: set[tuple[str, str, str]] = set()
    held: list[Doc] = []
    while len(held) < sum(wanted.values()):
        chosen.add(rare.pop())
        held = [doc for doc in docs if pairs_of(doc) & chosen]
    others = [doc for doc in docs if not pairs_of(doc) & chosen]
    rng.shuffle(held)
    for split, size in sizes.items():
        n_others = size - wanted[split]
        write_docs(held[: wanted[split]] + others[:n_others], folder / f"{split}.spacy")
        held, others = held[wanted[split] :], others[n_others:]
    write_docs(others, folder / "train.spacy")


def pairs_of(doc: Doc) -> set[tuple[str, str, str]]:
    """The doc's class with each two of its types."""
    types = sorted({ent.label_ for ent in doc.ents})
    name = max(doc.cats, key=doc.cats.__getitem__)
    return {(name, one, other) for one, other in combinations(types, 2)}


def train_once(data: DataSet, output: Path, seed: int) -> Path:
    """RETURNS: the model that is best on dev."""
    if data.make is not None and not (data.folder / "train.spacy").exists():
        data.make(data.folder)
    # spaCy writes model-last at the end
    if (output / "model-last" / "meta.json").exists():
        return output / "model-best"
    return train(data.make_config(data.folder, seed), output)


if __name__ == "__main__":
    main()
