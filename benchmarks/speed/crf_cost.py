"""What share of a training step the CRF's loss and gradient take, with 40 entity types (SNIPS, 500-word batches).

    python benchmarks/speed/crf_cost.py ../shared/data/snips/train.spacy

Prints the share in `nlp.update` of `configs/cpu.cfg`, with its median and range over the batches.
"""

import statistics
import time
from pathlib import Path

import spacy
from spacy.training import Corpus
from spacy.training.batchers import minibatch_by_words
from spacy.util import load_config, load_model_from_config
from speed_options import ROOT, make_parser

CONFIG = ROOT / "configs" / "cpu.cfg"


def measure(data: Path, *, n_batches: int, config: Path) -> tuple[list[float], int]:
    """RETURNS: for each batch, time in the recognizer's get_loss over time in nlp.update; and the number of tags."""
    nlp = load_model_from_config(load_config(config), auto_fill=True)
    examples = list(Corpus(data)(nlp))
    optimizer = nlp.initialize(lambda: examples[:3000])
    head = nlp.get_pipe("multitask").heads["slots"]
    get_loss, spent = head.get_loss, [0.0]

    def timed(*args):  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        result = get_loss(*args)
        spent[0] = time.perf_counter() - start
        return result

    head.get_loss = timed
    shares = []
    for step, batch in enumerate(minibatch_by_words(examples, size=500)):
        if step == n_batches:
            break
        start = time.perf_counter()
        nlp.update(batch, sgd=optimizer, drop=0.1)
        shares.append(spent[0] / (time.perf_counter() - start))
    return shares, head.tag_scheme.n_tags


def main() -> None:
    parser = make_parser(__doc__, config=CONFIG, batches=60)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    spacy.util.fix_random_seed(0)
    shares, n_tags = measure(args.data, n_batches=args.batches, config=args.config)
    low, high = min(shares), max(shares)
    print(f"{n_tags} tags: {100 * statistics.median(shares):.1f} % of a step ({100 * low:.1f} to {100 * high:.1f})")


if __name__ == "__main__":
    main()
