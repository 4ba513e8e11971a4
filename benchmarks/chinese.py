"""Chinese: tags and entities on characters from two corpora, `configs/zh.cfg`.

    python benchmarks/chinese.py --data ../shared/data

gsdsimp_ner has entities and no tags; of gsdsimp's dev set, which has both, 400 docs are trained on and 100 choose the
model. Scored on gsdsimp's test set: raw text in, words and spans of the gold compared by their characters. A tag counts
as right if every character of the word has it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import spacy
from alternate import DATA
from runs import Run, load_config, read_docs, run_all, table, write_docs
from spacy.language import Language
from spacy.training import Corpus

ROOT = Path(__file__).parents[1]
N_TRAIN = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with gsdsimp and gsdsimp_ner")
    parser.add_argument("--output", type=Path, default=ROOT / "training" / "chinese")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    nlp = spacy.blank("zh")
    docs = read_docs(args.data / "gsdsimp" / "dev.spacy", nlp)
    corpora = args.output / "data"
    write_docs(docs[:N_TRAIN], corpora / "tags" / "train.spacy")
    write_docs(docs[N_TRAIN:], corpora / "tags" / "dev.spacy")
    write_docs(read_docs(args.data / "gsdsimp_ner" / "train.spacy", nlp), corpora / "entities" / "train.spacy")
    rows = run_all(plan(args, corpora), args.output)
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
