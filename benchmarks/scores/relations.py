"""Relations with their entities: one encoder for both heads, an encoder each, or spaCy's tutorial; CrossRE's domains
together or alone, or data that the project makes.

    python benchmarks/scores/relations.py --systems joint separate tutorial
    python benchmarks/scores/relations.py --domains music --systems joint alone
    python benchmarks/scores/relations.py --encoder transformer --transformer all-MiniLM-L6-v2
    python assets/make_relations.py corpus/relations
    python benchmarks/scores/relations.py --made corpus/relations --steps 1000 --systems joint separate tutorial

The config is `configs/relations.cfg`, and its data folders `crossre_DOMAIN`, or the one that `--made` names. `joint`
learns all domains together, `alone` each domain with a pipeline of its own, and `separate` has all domains and two
components with an encoder each: the extractor relates what the recognizer before it has found. `tutorial` has all
domains, and on one encoder of the same size spaCy's `ner` and an extractor like that of spaCy's tutorial
`rel_component` (`tutorial_relations.py`; config `benchmarks/configs/tutorial_relations.cfg`). On a transformer the
settings of the training are those of `configs/transformer_fast.cfg`, and for `tutorial`, which has spaCy's own
`transformer`, of `benchmarks/configs/native_transformer.cfg`. Chosen on dev and scored on the test set of each domain,
on gold tokens: entities, relations strict, by boundaries and with gold entities. Gold relations whose entities were not
found are missed.
"""

import argparse
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import tutorial_relations
from one_config import evaluate
from runs import Run, load_config, run_all, set_steps, table
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from thinc.api import Config

DOMAINS = ["ai", "literature", "music", "politics", "science"]
JOINT, ALONE, SEPARATE, TUTORIAL = "joint", "alone", "separate", "tutorial"
SYSTEMS = [JOINT, ALONE, SEPARATE, TUTORIAL]
MADE = "made"
CNN, TRANSFORMER = "CNN", "transformer"
OURS, NATIVE = ROOT / "configs" / "relations.cfg", ROOT / "benchmarks" / "configs" / "tutorial_relations.cfg"
# what the transformer and its training are taken from
OUR_TRANSFORMER = ROOT / "configs" / "transformer_fast.cfg"
NATIVE_TRANSFORMER = ROOT / "benchmarks" / "configs" / "native_transformer.cfg"
# the file that registers what the config of the tutorial names
CODE = Path(tutorial_relations.__file__)
SCORES = ("ents_f", "relations_f", "relations_macro_f", "relations_boundaries_f", "relations_gold_entities_f")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA,
        output=ROOT / "training" / "relations",
        transformer=None,
        seeds=SEEDS,
        steps=2400,
        systems=[JOINT],
        jobs=1,
    )
    parser.add_argument("--domains", nargs="+", default=DOMAINS, choices=DOMAINS, help="CrossRE's domains")
    parser.add_argument("--made", type=Path, help="folder of the data that assets/make_relations.py makes, for CrossRE")
    parser.add_argument("--encoder", choices=[CNN, TRANSFORMER], default=CNN)
    args = parser.parse_args()
    if args.encoder == TRANSFORMER and not args.transformer:
        parser.error("--encoder transformer needs --transformer")
    if args.made:
        args.domains = [MADE]
    rows = run_all(plan(args), args.output, jobs=args.jobs)
    for domain in args.domains:
        own = [rename(row, domain) for row in rows if f"{domain}/{SCORES[0]}" in row]
        print(f"{domain}\n\n{table(own, 'system', SCORES)}\n")


def plan(args: argparse.Namespace) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            for domains in [[domain] for domain in args.domains] if system == ALONE else [args.domains]:
                config = make_config(args, domains, seed, is_native=system == TUTORIAL)
                if system == SEPARATE:
                    config = separate(config)
                names = {"system": system, "encoder": args.encoder, "domains": " ".join(domains)}
                key = names | {"seed": seed, "steps": args.steps}
                code = CODE if system == TUTORIAL else None
                yield Run(key, set_steps(config, args.steps), partial(scores_by_domain, args, domains), code)


def folder(args: argparse.Namespace, domain: str) -> Path:
    """Where the data of a domain is."""
    return args.made if domain == MADE else args.data / f"crossre_{domain}"


def make_config(args: argparse.Namespace, domains: Sequence[str], seed: int, *, is_native: bool) -> Config:
    """A config on these domains, in proportion to their sizes."""
    config = load_config(NATIVE if is_native else OURS, {"system.seed": seed, "training.max_epochs": -1})
    if args.encoder == TRANSFORMER:
        config = (native_on_transformer if is_native else on_transformer)(config, args.transformer)
    for split in ("train", "dev"):
        plain = config["corpora"][split]
        paths = {domain: str(folder(args, domain) / f"{split}.spacy") for domain in domains}
        corpora = {domain: {"reader": plain | {"path": path}} for domain, path in paths.items()}
        reader = {"@readers": "spacy_mtl.MultiCorpus.v1", "corpora": corpora, "seed": seed}
        if split == "train":
            reader["sampler"] = {"@mtl_samplers": "spacy_mtl.Proportional.v1"}
        config["corpora"][split] = reader
    return config


def with_training_of(config: Config, path: Path, transformer: str) -> tuple[Config, Config]:
    """A copy with the optimizer, the batches and the dropout of another config. RETURNS: it and the other one."""
    config, other = deepcopy(config), load_config(path, {"paths.transformer": transformer})
    config["paths"]["transformer"] = transformer
    config["training"] |= {name: other["training"][name] for name in ("optimizer", "batcher", "dropout")}
    return config, other


def on_transformer(config: Config, transformer: str) -> Config:
    """Our config on a pretrained transformer."""
    config, other = with_training_of(config, OUR_TRANSFORMER, transformer)
    del config["components"]["tok2vec"]
    config["components"]["multitask"]["model"] = other["components"]["multitask"]["model"]
    config["nlp"]["pipeline"] = ["multitask"]
    return config


def native_on_transformer(config: Config, transformer: str) -> Config:
    """The config of the tutorial on spaCy's `transformer`."""
    config, other = with_training_of(config, NATIVE_TRANSFORMER, transformer)
    del config["components"]["tok2vec"]
    config["components"]["transformer"] = other["components"]["transformer"]
    for name in ("ner", "relations"):
        config["components"][name]["model"]["tok2vec"] = deepcopy(other["components"]["ner"]["model"]["tok2vec"])
    config["nlp"]["pipeline"] = ["transformer", "ner", "relations"]
    return config


def separate(config: Config) -> Config:
    """Two components, each with one of the heads and an encoder of its own."""
    config = deepcopy(config)
    multitask = config["components"].pop("multitask")
    if "tok2vec" in config["components"]:
        multitask["model"]["tok2vec"] = config["components"].pop("tok2vec")["model"]
    for key in ("ents", "relations"):
        component = deepcopy(multitask)
        component["heads"] = {key: multitask["heads"][key]}
        component["weighting"]["weights"] = {key: 1.0}
        config["components"][key] = component
    config["components"]["relations"]["heads"]["relations"]["depends_on"] = None
    config["nlp"]["pipeline"] = ["ents", "relations"]
    return config


def scores_by_domain(args: argparse.Namespace, domains: Sequence[str], nlp: Language) -> dict[str, float]:
    """The test scores of each domain: "music/relations_f"."""
    found = {domain: evaluate(nlp, folder(args, domain) / "test.spacy", SCORES) for domain in domains}
    return {f"{domain}/{name}": value for domain, scores in found.items() for name, value in scores.items()}


def rename(row: dict[str, object], domain: str) -> dict[str, object]:
    """A row with the scores of one domain alone."""
    return {"system": row["system"]} | {name: row[f"{domain}/{name}"] for name in SCORES}


if __name__ == "__main__":
    main()
