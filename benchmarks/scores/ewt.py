"""English Web Treebank on a pretrained transformer: five heads of `multitask`, and spaCy's own components.

    python benchmarks/scores/ewt.py --transformer sentence-transformers/all-MiniLM-L6-v2

Tags, parts of speech, morphology, entities and genre: the heads of `configs/tagging.cfg` with the encoder and the
optimizer of `configs/transformer_fast.cfg`, and the components of `native_tagging.cfg` on those of
`native_transformer.cfg`, for as many steps. Chosen on dev and scored on test, from raw text.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from one_config import evaluate
from runs import Run, load_config, run_all, set_steps, table
from score_options import DATA, REQUIRED, ROOT, SEEDS, make_parser
from thinc.api import Config

OURS, NATIVE = "spacy-mtl", "spaCy"
SCORES = ("tag_acc", "pos_acc", "morph_acc", "ents_f", "cats_macro_f")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "ewt",
        output=ROOT / "training" / "ewt",
        transformer=REQUIRED,
        seeds=SEEDS,
        steps=1600,
        jobs=1,
    )
    parser.add_argument("--systems", nargs="+", default=[OURS, NATIVE], choices=[OURS, NATIVE])
    args = parser.parse_args()
    print(table(run_all(plan(args), args.output, jobs=args.jobs), "system", SCORES))


def plan(args: argparse.Namespace) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            config = our_config(args) if system == OURS else native_config(args)
            config["system"]["seed"] = seed
            yield Run(
                {"system": system, "seed": seed, "steps": args.steps},
                set_steps(config, args.steps),
                lambda nlp: evaluate(nlp, args.data / "test.spacy", SCORES, raw=True),
            )


def our_config(args: argparse.Namespace) -> Config:
    """The transformer's config with the heads, their weights and the scores of the CNN's."""
    config = load(args, ROOT / "configs" / "transformer_fast.cfg")
    heads = load_config(ROOT / "configs" / "tagging.cfg", {})
    multitask = config["components"]["multitask"]
    multitask["heads"] = heads["components"]["multitask"]["heads"]
    multitask["weighting"] = heads["components"]["multitask"]["weighting"]
    config["training"]["score_weights"] = heads["training"]["score_weights"]
    return config


def native_config(args: argparse.Namespace) -> Config:
    """The transformer's config with the components and the scores of the CNN's, which listen to the transformer."""
    config = load(args, ROOT / "benchmarks" / "configs" / "native_transformer.cfg")
    tasks = load_config(ROOT / "benchmarks" / "configs" / "native_tagging.cfg", {})
    listener = config["components"]["ner"]["model"]["tok2vec"]
    names = [name for name in tasks["nlp"]["pipeline"] if name != "tok2vec"]
    components = {name: tasks["components"][name] for name in names}
    for component in components.values():
        component["model"]["tok2vec"] = listener
    config["components"] = {"transformer": config["components"]["transformer"], **components}
    config["nlp"]["pipeline"] = list(config["components"])
    config["training"]["score_weights"] = tasks["training"]["score_weights"]
    config["training"]["max_epochs"] = 0
    return config


def load(args: argparse.Namespace, path: Path) -> Config:
    """A config on this transformer and this data. Texts are tokenized by the pipeline."""
    overrides: dict[str, object] = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    overrides |= {f"corpora.{split}.gold_tokens": False for split in ("train", "dev")}
    return load_config(path, overrides | {"paths.transformer": args.transformer})


if __name__ == "__main__":
    main()
