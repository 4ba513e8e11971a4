"""Score a trained pipeline head by head, and corpus by corpus."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.training import Example
from tqdm import tqdm

from ..protocols.doc_verdicts import ScoresInUnits
from ..readers.corpus import Corpus
from ..readers.pipeline_heads import heads_of

# scores of all heads together
TOGETHER = ("multitask_score", "multitask_exact")


@dataclass
class Evaluation:
    """What a pipeline scores on some files.

    scores (dict[str, dict[str, Any]]): Corpus -> what `nlp.evaluate` returns.
    n_docs (dict[str, int]): Corpus -> its docs.
    """

    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_docs: dict[str, int] = field(default_factory=dict)


def evaluate(nlp: Language, paths: Sequence[Path], *, gold_tokens: bool = True) -> Evaluation:
    """Score the pipeline on each file.

    paths (Sequence[Path]): `.spacy` files or folders of them, each a corpus of its own.
    gold_tokens (bool): Predict on the tokens of the gold docs; False tokenizes their texts.
    RAISES ValueError: The pipeline has no component with heads, or a file has no docs.
    """
    if not heads_of(nlp.pipeline):
        raise ValueError(f"the pipeline {nlp.pipe_names} has no component multitask; use spacy evaluate")
    result = Evaluation()
    for name, path in zip(corpus_names(paths), paths, strict=True):
        reader = Corpus(path, gold_tokens=gold_tokens)
        examples: list[Example] = list(
            tqdm(reader(nlp), desc=f"reading {name}", unit=" docs", disable=None, leave=False)
        )
        if not examples:
            raise ValueError(f"{path}: it has no docs")
        result.scores[name] = nlp.evaluate(examples)
        result.n_docs[name] = len(examples)
    return result


def corpus_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its stem, or with folders as far as it takes to tell them apart."""
    parts = [path.resolve().with_suffix("").parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"the same file is named twice: {[str(path) for path in paths]}")


def table(nlp: Language, result: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """Rows of text: corpus, head, docs, main score, other scores. Scores are in per cent, but for those in the unit of
    the gold; heads without gold in a corpus are left out, tables of scores by label too.
    """
    rows = []
    for corpus, scores in result.scores.items():
        n_docs = str(result.n_docs[corpus])
        for key, head in heads_of(nlp.pipeline).items():
            own = {name[len(key) + 1 :]: value for name, value in scores.items() if name.startswith(f"{key}_")}
            shown = {name: value for name, value in own.items() if isinstance(value, float)}
            if shown:
                main = percent(shown.get(head.main_score or ""))
                plain = head.scores_in_units if isinstance(head, ScoresInUnits) else ()
                others = [
                    f"{name} {f'{value:.3g}' if name in plain else percent(value)}"
                    for name, value in shown.items()
                    if name != head.main_score
                ]
                rows.append((corpus, key, n_docs, f"{head.main_score or ''} {main}".strip(), ", ".join(others)))
        together = [f"{name} {percent(scores[name])}" for name in TOGETHER if scores.get(name) is not None]
        rows.append((corpus, "all heads", n_docs, "", ", ".join(together)))
    return rows


def percent(score: float | None) -> str:
    """A share in per cent."""
    return "" if score is None else f"{100 * score:.1f}"
