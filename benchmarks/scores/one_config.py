"""Train a config with several seeds, choose on dev, and print mean and spread of its test scores as a table.

    python benchmarks/scores/one_config.py configs/cpu.cfg ../shared/data/snips --scores slots_f intent_acc

Other settings go to the config, such as `--training.dropout 0.1`. Gold tokens are used in the test. With
`--encoders fast spaCy` the config is trained as it is, and with spaCy's layers for its fast encoder.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from runs import Run, load_config, read_docs, run_all, table
from score_options import REQUIRED, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.training import Example
from spacy_encoder import with_spacy_encoder

from spacy_mtl.gold import unannotated

ENCODERS = ("fast", "spaCy")


def main() -> None:
    parser = make_parser(__doc__, output=Path("training/seeds"), seeds=SEEDS, scores=REQUIRED, jobs=1)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path, help="folder with train.spacy, dev.spacy and test.spacy")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=["fast"])
    args, overrides = parser.parse_known_args()
    rows = run_all(plan(args, overrides), args.output, jobs=args.jobs)
    systems = {system(args, encoder, overrides) for encoder in args.encoders}
    print(table([row for row in rows if row["system"] in systems], "system", args.scores))


def plan(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    settings = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    for seed in args.seeds:
        config = load_config(args.config, settings | parse_config_overrides(list(overrides)) | {"system.seed": seed})
        for encoder in args.encoders:
            yield Run(
                {"system": system(args, encoder, overrides), "seed": seed},
                config if encoder == "fast" else with_spacy_encoder(config),
                lambda nlp: evaluate(nlp, args.data / "test.spacy", args.scores),
            )


def system(args: argparse.Namespace, encoder: str, overrides: Sequence[str]) -> str:
    """All but the seed: config, data, encoder and what was changed."""
    changes = " ".join(override.removeprefix("--") for override in overrides)
    parts = [args.config.stem, args.data.name, "spaCy's encoder" if encoder == "spaCy" else "", changes]
    return ", ".join(part for part in parts if part)


def evaluate(nlp: Language, data: Path, names: Sequence[str], *, raw: bool = False) -> dict[str, float]:
    """These scores of a pipeline in per cent, on gold tokens, or on raw text."""
    gold = read_docs(data, nlp)
    scores = nlp.evaluate(
        [Example(nlp.make_doc(doc.text) if raw else unannotated(doc, nlp.vocab), doc) for doc in gold]
    )
    return {name: 100 * scores[name] for name in names}


if __name__ == "__main__":
    main()
