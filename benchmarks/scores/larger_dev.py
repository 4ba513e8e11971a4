"""Move docs from train to dev, to choose settings whose difference a small dev cannot tell from chance.

    python benchmarks/scores/larger_dev.py ../shared/data/snips training/snips_larger_dev --docs 2300
    python benchmarks/scores/one_config.py configs/accurate.cfg training/snips_larger_dev --scores multitask_exact

The new folder's test.spacy is its dev.spacy: what is chosen with it never sees the true test set.
"""

import random
from pathlib import Path

import spacy
from runs import read_docs, write_docs
from score_options import REQUIRED, make_parser


def main() -> None:
    parser = make_parser(__doc__, docs=REQUIRED, seed=7)
    parser.add_argument("data", type=Path, help="folder with train.spacy and dev.spacy")
    parser.add_argument("output", type=Path, help="the new folder")
    parser.add_argument("--lang", default="en")
    args = parser.parse_args()
    if args.output.resolve() == args.data.resolve():
        parser.error(f"{args.output}: its files would be overwritten; name another folder")
    nlp = spacy.blank(args.lang)
    train, dev = (read_docs(args.data / f"{split}.spacy", nlp) for split in ("train", "dev"))
    if not 0 < args.docs < len(train):
        parser.error(f"--docs {args.docs}: train has {len(train)}, and some must stay")
    order = list(range(len(train)))
    random.Random(args.seed).shuffle(order)
    moved = set(order[: args.docs])
    dev = [train[i] for i in sorted(moved)] + dev
    write_docs((doc for i, doc in enumerate(train) if i not in moved), args.output / "train.spacy")
    for split in ("dev", "test"):
        write_docs(dev, args.output / f"{split}.spacy")
    print(f"{args.output}: {len(train) - len(moved)} docs in train, {len(dev)} in dev")


if __name__ == "__main__":
    main()
