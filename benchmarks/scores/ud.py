"""A treebank and one encoder: the whole pipeline of `configs/ud.cfg`, and spaCy's own components with the same budget.

    python benchmarks/scores/ud.py --data ../shared/data/ewt --systems spacy-mtl spaCy

Chosen on dev and scored on test, on gold tokens. `dep_uas` and `dep_las` are spaCy's, without punctuation; `uas` and
`las` are those of the CoNLL shared task 2018, with punctuation and without subtypes of labels, which papers report.
Other settings go to the config of spacy-mtl, such as `--components.tok2vec.model.width 128`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from runs import Run, annotated, load_config, run_all, table
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.gold import unannotated

OURS, NATIVE = "spacy-mtl", "spaCy"
CONFIGS = {OURS: ROOT / "configs" / "ud.cfg", NATIVE: ROOT / "benchmarks" / "configs" / "native_ud.cfg"}
STANDARD = ("tag_acc", "pos_acc", "morph_acc", "lemma_acc", "dep_uas", "dep_las", "ents_f")
SCORES = (*STANDARD, "uas", "las")


def main() -> None:
    parser = make_parser(__doc__, data=DATA / "ewt", output=ROOT / "training" / "ud", seeds=SEEDS, steps=4000, jobs=1)
    parser.add_argument("--systems", nargs="+", default=[OURS], choices=[OURS, NATIVE])
    args, overrides = parser.parse_known_args()
    print(table(run_all(plan(args, overrides), args.output, jobs=args.jobs), "system", SCORES))


def plan(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            changes = " ".join(override.removeprefix("--") for override in overrides) if system == OURS else ""
            yield Run(
                {"system": " ".join(filter(None, [system, changes])), "seed": seed, "steps": args.steps},
                make_config(args, system, seed, overrides if system == OURS else []),
                lambda nlp: evaluate(nlp, args.data / "test.spacy"),
            )


def make_config(args: argparse.Namespace, system: str, seed: int, overrides: Sequence[str]) -> Config:
    """The config of a system for so many steps, evaluated eight times."""
    settings: dict[str, object] = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    settings |= {"training.max_steps": args.steps, "training.eval_frequency": max(args.steps // 8, 1)}
    return load_config(CONFIGS[system], settings | parse_config_overrides(list(overrides)) | {"system.seed": seed})


def evaluate(nlp: Language, path: Path) -> dict[str, float]:
    """The scores of a pipeline on gold tokens, in per cent."""
    examples = annotated(nlp, path)
    scores = nlp.evaluate([Example(unannotated(eg.reference, nlp.vocab), eg.reference) for eg in examples])
    return {name: 100 * scores[name] for name in STANDARD} | conll_scores(examples)


def conll_scores(examples: Sequence[Example]) -> dict[str, float]:
    """Attachment scores over all tokens, without subtypes: "nsubj:pass" counts as "nsubj"."""
    n_tokens = n_heads = n_both = 0
    for eg in examples:
        for found, gold in zip(eg.predicted, eg.reference, strict=True):
            same_head = found.head.i == gold.head.i
            n_tokens += 1
            n_heads += same_head
            n_both += same_head and found.dep_.split(":")[0] == gold.dep_.split(":")[0]
    return {"uas": 100 * n_heads / n_tokens, "las": 100 * n_both / n_tokens}


if __name__ == "__main__":
    main()
