"""What prediction sets cost: python benchmarks/speed/sets_cost.py MODEL --data test.spacy

MODEL was calibrated with a coverage (`mtl calibrate --coverage`). The texts are read by `nlp.pipe` with and without
sets, by turns, in this process. Printed is the CPU time of a text, the median of the rounds.
"""

import statistics
import time

import spacy
from spacy.tokens import DocBin
from speed_options import REQUIRED, make_parser
from wasabi import msg


def main() -> None:
    parser = make_parser(__doc__, data=REQUIRED, docs=2000, batch_size=64)
    parser.add_argument("model", help="calibrated pipeline")
    parser.add_argument("--rounds", type=int, default=7, help="number of rounds")
    args = parser.parse_args()
    nlp = spacy.load(args.model)
    texts = [doc.text for doc in DocBin().from_disk(args.data).get_docs(nlp.vocab)][: args.docs]
    if not nlp(texts[0])._.mtl_sets:
        msg.fail("The pipeline gives no prediction sets", "calibrate it with --coverage", exits=1)
    pipes = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "keep_sets")]
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(args.rounds):
        for with_sets in times:
            for pipe in pipes:
                pipe.keep_sets = with_sets
            start = time.process_time()
            for _ in nlp.pipe(texts, batch_size=args.batch_size):
                pass
            times[with_sets].append(1e6 * (time.process_time() - start) / len(texts))
    without, both = (statistics.median(times[key]) for key in (False, True))
    rows = [("without sets", f"{without:.0f} µs"), ("with sets", f"{both:.0f} µs")]
    msg.table([*rows, ("difference", f"{both / without - 1:+.0%}")], header=("CPU time of a text", ""), divider=True)


if __name__ == "__main__":
    main()
