"""Memory of reading corpora of different size as a stream: python benchmarks/speed/stream_memory.py [--files 1 4 16]

Each corpus is a folder of .spacy files of 2,500 docs of 12 words, since spaCy loads a file at a time. Each size is
read by a process of its own, two passes of `spacy_mtl.MultiCorpus.v1`; printed is the most memory it ever held.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from speed_options import make_parser
from wasabi import msg

from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1
from spacy_mtl.samplers.proportional import make_proportional_v1

DOCS_A_FILE = 2500
BUFFER = 2000


def write_corpus(folder: Path, n_files: int) -> None:
    vocab, rng = spacy.blank("en").vocab, random.Random(0)
    words = [f"word{number}" for number in range(5000)]
    for number in range(n_files):
        docs = [Doc(vocab, words=rng.choices(words, k=12)) for _ in range(DOCS_A_FILE)]
        DocBin(docs=docs).to_disk(folder / f"{number}.spacy")


def read(folder: Path) -> tuple[int, float]:
    """Two passes. RETURNS: docs a pass, and the peak memory of this process in MiB."""
    nlp = spacy.blank("en")
    reader = make_multi_corpus_v1({"all": {"reader": Corpus(folder)}}, make_proportional_v1(), buffer_size=BUFFER)
    n_docs = [sum(1 for _ in reader(nlp)) for _ in range(2)]
    return n_docs[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = make_parser(
        __doc__,
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1, 4, 16], help="sizes, in files of 2,500 docs")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        print(*read(args.read))
        return
    rows = []
    for n_files in args.files:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), n_files)
            command = [sys.executable, __file__, "--read", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            n_docs, peak = done.stdout.split()
            rows.append((n_files, n_docs, f"{float(peak):.0f}"))
    msg.table(rows, header=("files", "docs", "peak MiB"), divider=True, aligns=("r", "r", "r"))


if __name__ == "__main__":
    main()
