"""What decoding class and entities together does to each set: the same weights without it, with it, and as a hard rule.

    python benchmarks/scores/consistency.py --data ../shared/data

Trains `configs/cpu.cfg` with three seeds on each set, without `consistent_with`, so that dev chooses the model as if it
did not exist. Each model then annotates dev and test three times: without; with the costs that training gives to
combinations of a class and entity types that it does not show (what `consistent_with` does); and with those
combinations forbidden ("hard"). Runs and scores that are there already are not made again.

Sets: SNIPS lower-cased and cased, HWU64 (entities with the scenario, and with the action), the data that the project
makes in English and Chinese, and three to see harm: a few hundred docs of SNIPS and of HWU64 to train on, and SNIPS
split so that 12 % of dev and test docs have two types together that train never shows in a doc of their class. The
intents of NLU++ are not exclusive, so nothing can be decoded with them.
"""

import argparse
import json
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
from hwu64 import make_config as make_hwu64_config
from runs import annotated, load_config, read_docs, read_rows, set_steps, table, train, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.crf.seen_types import Costs, SeenTypes, count_kinds, pair_counts, type_counts
from spacy_mtl.pipeline.consistency import update_constraints
from spacy_mtl.pipeline.head_views import HeadViews

sys.path.append(str(ROOT / "assets"))
CONFIG = ROOT / "configs" / "cpu.cfg"
SPLITS = ("train", "dev", "test")
DECODINGS = ("without", "with", "hard")
SCORES = ("entities_f", "class_acc", "exact", "costly", "nats")
# in nats
FORBIDDEN = 1e4
HWU64 = ("scenario", "action")
# docs with a pair that train lacks, in the split that is made so
UNSEEN_SHARE = 0.12
RARE = (5, 150)


@dataclass
class DataSet:
    """A set and how to train on it.

    folder (Path): Where its splits are.
    make_config (Callable): Folder and seed -> the training config.
    entities (str): The head that finds entities.
    classifiers (Sequence[str]): The heads with which it may be decoded.
    make (Callable | None): Writes the splits to the folder, if they are made here.
    """

    folder: Path
    make_config: Callable[[Path, int], Config]
    entities: str
    classifiers: Sequence[str]
    make: Callable[[Path], None] | None = None


class Forbidding(SeenTypes):
    """The hard rule: nothing that training does not show."""

    def costs(self, classes: Sequence[str], labels: Sequence[str]) -> Costs:
        """So much that no score makes up for it, for each unseen combination of parts that were seen."""
        rows = {name: index for index, name in enumerate(classes)}
        kinds = ((rows[name], types) for name, types in self.kinds if name in rows)
        sizes, types, pairs = count_kinds(kinds, len(classes), labels)
        found = type_counts(sizes, types), pair_counts(sizes, types, pairs)
        return Costs(*(FORBIDDEN * ((part.counts == 0) & (part.expected > 0)) for part in found))


def main() -> None:
    parser = make_parser(__doc__, data=DATA, output=ROOT / "training" / "consistency", seeds=SEEDS, jobs=1)
    parser.add_argument("--sets", nargs="+", help="only these")
    args = parser.parse_args()
    sets = data_sets(args.data, args.output / "data")
    for seed in args.seeds:
        for name in args.sets or sets:
            model = train_once(sets[name], args.output / f"{name}-{seed}", seed)
            decode_all(name, sets[name], seed, model, args.output)
    for split in ("dev", "test"):
        rows = [row for row in read_rows(args.output) if row["split"] == split]
        print(f"\n{split}\n{table(rows, 'system', SCORES)}")


def decode_all(name: str, data: DataSet, seed: int, model: Path, output: Path) -> None:
    """Add the rows of one model that are not there yet to `results.jsonl`."""
    for classifier in data.classifiers:
        for decoding in DECODINGS:
            key = {"set": name, "with": classifier, "decoding": decoding, "seed": seed}
            if any(key.items() <= row.items() for row in read_rows(output)):
                continue
            nlp = load(model, data, classifier, decoding)
            with (output / "results.jsonl").open("a") as file:
                for split in ("dev", "test"):
                    scores = evaluate(nlp, data.folder / f"{split}.spacy", data.entities, classifier)
                    row = key | {"system": f"{name}, {classifier}, {decoding}", "split": split} | scores
                    file.write(json.dumps(row) + "\n")


def load(model: Path, data: DataSet, classifier: str, decoding: str) -> Language:
    """The trained pipeline with another way to decode: `consistent_with` and what it has to know are added to it."""
    consistent_with = None if decoding == "without" else classifier
    setting = f"components.multitask.heads.{data.entities}.consistent_with"
    nlp = spacy.load(model, config={setting: consistent_with})
    heads = nlp.get_pipe("multitask").heads
    seen_types = Forbidding() if decoding == "hard" else SeenTypes()
    heads[data.entities].model.attrs["seen_types"] = seen_types
    docs = read_docs(data.folder / "train.spacy", nlp)
    update_constraints(heads, {data.entities: classifier}, HeadViews([Example(doc, doc) for doc in docs]))
    return nlp


def evaluate(nlp: Language, path: Path, entities: str, classifier: str) -> dict[str, float]:
    """Scores in per cent, on gold tokens; and of the docs, how many have gold that costs something, and how much."""
    heads, examples = nlp.get_pipe("multitask").heads, annotated(nlp, path)
    exact = [all(heads[key].is_correct(eg) for key in (entities, classifier)) for eg in examples]
    classes = heads[classifier].gold_classes(examples)
    costs = heads[entities].gold_costs(examples, classes, heads[classifier].labels)
    paid = [cost for cost in costs if cost > 0]
    return {
        "entities_f": 100 * heads[entities].score(examples)["f"],
        "class_acc": 100 * heads[classifier].score(examples)["acc"],
        "exact": 100 * sum(exact) / len(exact),
        "costly": 100 * len(paid) / len(costs),
        "nats": sum(paid) / max(len(paid), 1),
    }


def data_sets(data: Path, made: Path) -> dict[str, DataSet]:
    """All sets by name. made (Path): Where those are written that are made here."""
    snips = {"make_config": make_snips_config, "entities": "slots", "classifiers": ["intent"]}
    return {
        "made_en": DataSet(made / "en", make_short_config, "slots", ["intent"], partial(grammar, "en")),
        "made_zh": DataSet(made / "zh", make_chinese_config, "slots", ["intent"], partial(grammar, "zh")),
        "hwu64": DataSet(data / "hwu64", make_hwu64, "entities", HWU64),
        "snips": DataSet(data / "snips", **snips),
        "snips_resplit": DataSet(made / "resplit", **snips, make=partial(resplit, data / "snips")),
        "snips_cased": DataSet(data / "snips_cased", **snips),
        "snips_small": DataSet(
            made / "small", make_short_config, "slots", ["intent"], partial(shrink, data / "snips", 400)
        ),
        "hwu64_small": DataSet(
            made / "hwu64_small", make_small_hwu64, "entities", HWU64, partial(shrink, data / "hwu64", 600)
        ),
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


def make_hwu64(folder: Path, seed: int, *, steps: int = 2400) -> Config:
    """Scenario, action and entities together."""
    args = argparse.Namespace(data=folder, encoder="CNN", steps=steps)
    return make_hwu64_config(args, [*HWU64, "entities"], seed=seed)


def make_small_hwu64(folder: Path, seed: int) -> Config:
    """The same with half of the steps."""
    return make_hwu64(folder, seed, steps=1200)


def grammar(lang: str, folder: Path) -> None:
    """Draw the set from the project's grammar, as `project.yml` does."""
    from make_intents import make_corpus

    for split, docs in make_corpus(lang, 0).items():
        write_docs(docs, folder / f"{split}.spacy")


def shrink(source: Path, n_docs: int, folder: Path) -> None:
    """Keep a few random docs to train on, and dev and test as they are."""
    for split in SPLITS:
        docs = read_docs(source / f"{split}.spacy", spacy.blank("en"))
        if split == "train":
            docs = random.Random(0).sample(docs, n_docs)
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
    return train(data.make_config(data.folder, seed), output.parent, output.name)


if __name__ == "__main__":
    main()
