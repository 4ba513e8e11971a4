"""Faithfulness of explanations: what the prediction loses without the tokens that they name, and without all others.

    python benchmarks/scores/faithfulness.py training/model-best test.spacy
    python benchmarks/scores/faithfulness.py seed0/model seed1/model seed2/model test.spacy --docs 200

Comprehensiveness and sufficiency of DeYoung et al. 2020 ("ERASER", ACL): the fall of the target's probability without
the k tokens with the highest scores (large is good), and with these k tokens alone (small is good), on average over k
of 1, 5, 10, 20 and 50 % of a doc's tokens, at least one. A token that is left out has the baseline's embeddings, or is
an unknown word where the encoder does not offer its embeddings. A regressor's number stands for the probability.
In each doc one prediction of each head is drawn. "random" is the mean over several random orders of the tokens. "ratio"
is the comprehensiveness divided by that of random orders; "passes" are forward passes of a doc. With several models,
such as the seeds of one training, each cell is their mean, and the standard deviation over them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from score_options import make_parser
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import load_model
from tqdm import tqdm
from wasabi import table

from spacy_mtl.explanations.explain import METHODS, make_network, targets_of
from spacy_mtl.explanations.occlusion import value_without
from spacy_mtl.explanations.target_function import TargetFunction

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
N_ORDERS = 5
RANDOM = "random"
# comprehensiveness, sufficiency and passes
RowT = tuple[float, float, float]
# head and method -> one row for each prediction
ResultsT = dict[tuple[str, str], list[RowT]]


def main() -> None:
    parser = make_parser(__doc__, docs=100, seed=0)
    parser.add_argument("models", nargs="+", help="trained pipelines, all with the same heads")
    parser.add_argument("corpus", type=Path, help=".spacy file, of which only the tokens are read")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS)[:3])
    args = parser.parse_args()
    results = [
        measure_model(load_model(model), args.corpus, args.methods, args.docs, args.seed) for model in args.models
    ]
    print(table(list(rows_of(results)), header=HEADER, divider=True, aligns=["l", "l", *"rrrrr"]))


HEADER = ("head", "method", "predictions", "comprehensiveness", "ratio", "sufficiency", "passes")


def measure_model(nlp: Language, corpus: Path, methods: Sequence[str], n_docs: int, seed: int) -> ResultsT:
    """Measure all methods on some docs, the same ones for each model."""
    rng = np.random.default_rng(seed)
    results: ResultsT = defaultdict(list)
    docs = list(read_docs(nlp, corpus, n_docs, rng))
    for doc in tqdm(docs, unit=" docs", disable=None, leave=False):
        for key, row in measure(nlp, doc, methods, rng):
            results[key].append(row)
    return results


def read_docs(nlp: Language, path: Path, n_docs: int, rng: np.random.Generator) -> Iterator[Doc]:
    """Draw docs with at least two tokens, without their annotation, with what pipes before the component add."""
    gold = [doc for doc in DocBin().from_disk(path).get_docs(nlp.vocab) if len(doc) > 1]
    for index in rng.permutation(len(gold))[:n_docs].tolist():
        words = [token.text for token in gold[index]]
        yield Doc(nlp.vocab, words=words, spaces=[bool(token.whitespace_) for token in gold[index]])


def measure(
    nlp: Language, doc: Doc, methods: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[tuple[str, str], RowT]]:
    """Measure all methods, and random orders, on one prediction of each head."""
    network = make_network(nlp, doc, None, None)
    for head in network.pipe.heads:
        targets = targets_of(network, head) if network.explains(head) else []
        if not targets:
            continue
        target = targets[int(rng.integers(len(targets)))]
        for method in methods:
            function = TargetFunction(network, head, target)
            scores = METHODS[method](function).scores
            n_passes = function.n_passes
            yield (head, method), (*erase(function, np.argsort(-scores, kind="stable")), n_passes)
        function = TargetFunction(network, head, target)
        orders = [erase(function, rng.permutation(len(doc))) for _ in range(N_ORDERS)]
        yield (head, RANDOM), (*np.mean(orders, axis=0).tolist(), 0)


def erase(function: TargetFunction, order: np.ndarray) -> tuple[float, float]:
    """Compute comprehensiveness and sufficiency of an order of the tokens, the most important ones first."""
    whole = on_scale(function, value_without(function))
    sizes = [max(1, round(share * len(order))) for share in SHARES]
    without = {k: on_scale(function, value_without(function, *order[:k].tolist())) for k in set(sizes)}
    alone = {k: on_scale(function, value_without(function, *order[k:].tolist())) for k in set(sizes)}
    return whole - float(np.mean([without[k] for k in sizes])), whole - float(np.mean([alone[k] for k in sizes]))


def on_scale(function: TargetFunction, value: float) -> float:
    """The probability of log-odds; numbers stay."""
    return 0.5 * (np.tanh(0.5 * value) + 1.0) if function.target.unit == "log-odds" else value


def rows_of(models: Sequence[ResultsT]) -> Iterator[tuple[str, ...]]:
    """The rows of the table."""
    for head, method in sorted({key for results in models for key in results}):
        found = [results for results in models if (head, method) in results]
        means = np.array([np.mean(results[head, method], axis=0) for results in found])
        base = np.array([np.mean(results[head, RANDOM], axis=0)[0] for results in found])
        columns = ((means[:, 0], 3), (means[:, 0] / base, 2), (means[:, 1], 3), (means[:, 2], 0))
        number = sum(len(results[head, method]) for results in found)
        yield (head, method, str(number), *(with_spread(values, digits) for values, digits in columns))


def with_spread(values: np.ndarray, digits: int) -> str:
    """The mean, and the standard deviation where there are several."""
    mean = f"{values.mean():.{digits}f}"
    return f"{mean} ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
