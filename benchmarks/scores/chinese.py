"""Chinese: tags and entities on characters from two corpora, `configs/zh.cfg`.

    python benchmarks/scores/chinese.py --data ../shared/data

gsdsimp_ner has entities and no tags; of gsdsimp's dev set, which has both, 400 docs are trained on and 100 choose the
model. Scored on gsdsimp's test set: raw text in, words and spans of the gold compared by their characters. A tag counts
as right if every character of the word has it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import spacy
from runs import Run, load_config, read_docs, run_all, table, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from spacy.training import Corpus

N_TRAIN = 400


def main() -> None:
    parser = make_parser(__doc__, data=DATA, output=ROOT / "training" / "chinese", seeds=SEEDS, jobs=1)
    args = parser.parse_args()
    nlp = spacy.blank("zh")
    docs = read_docs(args.data / "gsdsimp" / "dev.spacy", nlp)
    corpora = args.output / "data"
    write_docs(docs[:N_TRAIN], corpora / "tags" / "train.spacy")
    write_docs(docs[N_TRAIN:], corpora / "tags" / "dev.spacy")
    write_docs(read_docs(args.data / "gsdsimp_ner" / "train.spacy", nlp), corpora / "entities" / "train.spacy")
    rows = run_all(plan(args, corpora), args.output, jobs=args.jobs)
    print(table(rows, "system", ("tag_acc", "ents_p", "ents_r", "ents_f")))


def plan(args: argparse.Namespace, corpora: Path) -> Iterator[Run]:
    """The trainings."""
    for seed in args.seeds:
        config = load_config(ROOT / "configs" / "zh.cfg", {"paths.corpora": str(corpora), "system.seed": seed})
        yield Run({"system": "configs/zh.cfg", "seed": seed}, config, lambda nlp: score(nlp, args.data))


def score(nlp: Language, data: Path) -> dict[str, float]:
    """Test scores in per cent."""
    scores = nlp.evaluate(list(Corpus(data / "gsdsimp" / "test.spacy")(nlp)))
    return {name: round(100 * scores[name], 2) for name in ("tag_acc", "ents_p", "ents_r", "ents_f")}


if __name__ == "__main__":
    main()
