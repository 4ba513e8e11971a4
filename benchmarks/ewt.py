"""English Web Treebank on a pretrained transformer: five heads of `multitask`, and spaCy's own components.

    python benchmarks/ewt.py --transformer sentence-transformers/all-MiniLM-L6-v2

Tags, parts of speech, morphology, entities and genre: the heads of `configs/tagging.cfg` with the encoder and the
optimizer of `configs/transformer_fast.cfg`, and the components of `native_tagging.cfg` on those of
`native_transformer.cfg`, for as many steps. Chosen on dev and scored on test, from raw text.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from alternate import DATA
from runs import Run, load_config, run_all, set_steps, table
from seeds import evaluate
from thinc.api import Config

ROOT = Path(__file__).parents[1]
OURS, NATIVE = "spacy-mtl", "spaCy"
SCORES = ("tag_acc", "pos_acc", "morph_acc", "ents_f", "cats_macro_f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "ewt", help="folder with train, dev and test.spacy")
    parser.add_argument("--output", type=Path, default=ROOT / "training" / "ewt")
    parser.add_argument("--transformer", required=True, help="a Hugging Face model: a folder or a name")
    parser.add_argument("--systems", nargs="+", default=[OURS, NATIVE], choices=[OURS, NATIVE])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--part", default="1/1", help="1/2: the first of two halves of the work")
    args = parser.parse_args()
    print(table(run_all(plan(args), args.output, part=args.part), "system", SCORES))


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
    config = load(args, ROOT / "benchmarks" / "native_transformer.cfg")
    tasks = load_config(ROOT / "benchmarks" / "native_tagging.cfg", {})
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
