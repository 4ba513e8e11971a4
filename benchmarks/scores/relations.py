"""Relations with their entities: one encoder for both heads, an encoder each, or spaCy's tutorial; CrossRE's domains
together or alone.

    python benchmarks/scores/relations.py --systems joint separate tutorial
    python benchmarks/scores/relations.py --domains music --systems joint alone

The config is `configs/relations.cfg`, and its data folders `crossre_DOMAIN`. `joint` learns all domains together,
`alone` each domain with a pipeline of its own, and `separate` has all domains and two components with an encoder each:
the extractor relates what the recognizer before it has found. `tutorial` has all domains, and on one encoder of the
same size spaCy's `ner` and an extractor like that of spaCy's tutorial `rel_component` (`tutorial_relations.py`; config
`benchmarks/configs/tutorial_relations.cfg`). Chosen on dev and scored on the test set of each domain, on gold tokens:
entities, relations strict, by boundaries and with gold entities. Gold relations whose entities were not found are
missed.
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
OURS, NATIVE = ROOT / "configs" / "relations.cfg", ROOT / "benchmarks" / "configs" / "tutorial_relations.cfg"
# the file that registers what the config of the tutorial names
CODE = Path(tutorial_relations.__file__)
SCORES = ("ents_f", "relations_f", "relations_macro_f", "relations_boundaries_f", "relations_gold_entities_f")


def main() -> None:
    parser = make_parser(
        __doc__, data=DATA, output=ROOT / "training" / "relations", seeds=SEEDS, steps=2400, systems=[JOINT], jobs=1
    )
    parser.add_argument("--domains", nargs="+", default=DOMAINS, choices=DOMAINS, help="CrossRE's domains")
    args = parser.parse_args()
    rows = run_all(plan(args), args.output, jobs=args.jobs)
    for domain in args.domains:
        own = [rename(row, domain) for row in rows if f"{domain}/{SCORES[0]}" in row]
        print(f"{domain}\n\n{table(own, 'system', SCORES)}\n")


def plan(args: argparse.Namespace) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            for domains in [[domain] for domain in args.domains] if system == ALONE else [args.domains]:
                config = make_config(args, NATIVE if system == TUTORIAL else OURS, domains, seed)
                if system == SEPARATE:
                    config = separate(config)
                key = {"system": system, "domains": " ".join(domains), "seed": seed, "steps": args.steps}
                code = CODE if system == TUTORIAL else None
                yield Run(key, set_steps(config, args.steps), partial(scores_by_domain, args, domains), code)


def make_config(args: argparse.Namespace, path: Path, domains: Sequence[str], seed: int) -> Config:
    """A config on these domains, in proportion to their sizes."""
    config = load_config(path, {"system.seed": seed, "training.max_epochs": -1})
    for split in ("train", "dev"):
        plain = config["corpora"][split]
        paths = {domain: str(args.data / f"crossre_{domain}" / f"{split}.spacy") for domain in domains}
        corpora = {domain: {"reader": plain | {"path": path}} for domain, path in paths.items()}
        reader = {"@readers": "spacy_mtl.MultiCorpus.v1", "corpora": corpora, "seed": seed}
        if split == "train":
            reader["sampler"] = {"@mtl_samplers": "spacy_mtl.Proportional.v1"}
        config["corpora"][split] = reader
    return config


def separate(config: Config) -> Config:
    """Two components, each with one of the heads and an encoder of its own."""
    config = deepcopy(config)
    multitask = config["components"].pop("multitask")
    encoder = config["components"].pop("tok2vec")["model"]
    multitask["model"]["tok2vec"] = encoder
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
    found = {domain: evaluate(nlp, args.data / f"crossre_{domain}" / "test.spacy", SCORES) for domain in domains}
    return {f"{domain}/{name}": value for domain, scores in found.items() for name, value in scores.items()}


def rename(row: dict[str, object], domain: str) -> dict[str, object]:
    """A row with the scores of one domain alone."""
    return {"system": row["system"]} | {name: row[f"{domain}/{name}"] for name in SCORES}


if __name__ == "__main__":
    main()
