"""Several intents in one text: sentences of SNIPS joined with "and", as the literature makes its multi-intent sets.

    python benchmarks/scores/several_intents.py --data ../shared/data/snips --systems "pooled" "pooled, count"

A doc has one, two or three sentences with the probabilities 0.3, 0.5 and 0.2, each of another intent (MixSNIPS, Qin et
al. 2020, "AGIF: An Adaptive Graph-Interactive Framework for Joint Multiple Intent Detection and Slot Filling", Findings
of EMNLP). Two are joined by "and", three by "," and "and". Its classes are those of all its sentences, and so are its
entities. Splits are joined apart, so that no sentence of dev or test is in train, and have the sizes of MixSNIPS.

Systems differ in the head of the intents, which are not exclusive. Each is trained with every seed, chosen on dev, and
scored on `--split` with gold tokens. Other settings go to the config, such as `--training.max_steps 9600`.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import spacy
from one_config import evaluate
from runs import Run, load_config, read_docs, run_all, table, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.tokens import Doc, Span

SIZES = {"train": 39_776, "dev": 2_198, "test": 2_199}
N_SENTENCES = ([1, 2, 3], [0.3, 0.5, 0.2])
SCORES = ("slots_f", "intent_acc", "multitask_exact")
INTENT, SLOTS = "components.multitask.heads.intent", "components.multitask.heads.slots"
FIXED = {f"{INTENT}.exclusive": False, f"{SLOTS}.consistent_with": None}
# settings of the head of the intents
SYSTEMS: dict[str, dict[str, Any]] = {
    "pooled": {},
    "pooled, count": {"count_classes": True},
    "near tokens, count": {"count_classes": True, "near_tokens": True},
}


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "snips",
        output=ROOT / "training" / "several_intents",
        config=ROOT / "configs" / "cpu.cfg",
        seeds=SEEDS,
        jobs=1,
    )
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--split", choices=["dev", "test"], default="dev", help="the split whose scores are shown")
    args, overrides = parser.parse_known_args()
    for split, size in SIZES.items():
        path = joined_path(args.output, split)
        if not path.exists():
            docs = read_docs(args.data / f"{split}.spacy", spacy.blank("en"))
            write_docs(joined_docs(docs, size, seed=0), path)
    rows = run_all(plan(args, overrides), args.output, jobs=args.jobs)
    print(table(rows, "system", [f"{args.split}_{name}" for name in SCORES]))


def joined_path(output: Path, split: str) -> Path:
    """Where the joined docs of a split are."""
    return output / "data" / f"{split}.spacy"


def joined_docs(docs: Sequence[Doc], size: int, *, seed: int) -> Iterator[Doc]:
    """Join sentences at random, each of another class. The same seed gives the same docs."""
    rng = random.Random(seed)
    for _ in range(size):
        (n_sentences,) = rng.choices(*N_SENTENCES)
        chosen: list[Doc] = []
        while len(chosen) < n_sentences:
            doc = rng.choice(docs)
            if class_of(doc) not in map(class_of, chosen):
                chosen.append(doc)
        yield join(chosen)


def class_of(doc: Doc) -> str:
    """The doc's likeliest class."""
    return max(doc.cats, key=lambda key: doc.cats[key])


def join(docs: Sequence[Doc]) -> Doc:
    """Join docs of one class each: the last two by "and", the others by a comma."""
    words, starts = [], []
    for index, doc in enumerate(docs):
        if index:
            words.append("and" if index == len(docs) - 1 else ",")
        starts.append(len(words))
        words += [token.text for token in doc]
    joined = Doc(docs[0].vocab, words=words)
    ents = [(start, ent) for start, doc in zip(starts, docs, strict=True) for ent in doc.ents]
    joined.set_ents([Span(joined, start + ent.start, start + ent.end, label=ent.label_) for start, ent in ents])
    joined.cats = {key: max(doc.cats[key] for doc in docs) for key in docs[0].cats}
    return joined


def plan(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    paths = {f"paths.{split}": str(joined_path(args.output, split)) for split in ("train", "dev")}
    others = parse_config_overrides(list(overrides))
    for seed in args.seeds:
        for system in args.systems:
            settings = {f"{INTENT}.{name}": value for name, value in SYSTEMS[system].items()}
            config = load_config(args.config, paths | FIXED | settings | others | {"system.seed": seed})
            name = " ".join([system, *(f"{key.split('.')[-1]}={value}" for key, value in others.items())])
            yield Run({"system": name, "seed": seed}, config, lambda nlp: scores_of(nlp, args.output))


def scores_of(nlp: Language, output: Path) -> dict[str, float]:
    """The scores on dev and on test, with the name of the split before each."""
    return {
        f"{split}_{name}": value
        for split in ("dev", "test")
        for name, value in evaluate(nlp, joined_path(output, split), SCORES).items()
    }


if __name__ == "__main__":
    main()
