"""Which words led to the predictions: of each label over many docs, and in a few docs of all heads side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from spacy.language import Language
from tqdm import tqdm

from ...explanations.doc_explainer import DocExplainer
from ...explanations.explained_examples import ExplainedExample, ShownLine, choose_docs, explain_example
from ...explanations.label_words import LabelTables, LabelWords
from ...explanations.side_by_side import number, shares
from ...gold import unannotated
from ..marked_text import window_of
from ..report_data import ReportData
from ..templating import asset, render

N_WORDS, N_LABELS, OPEN = 6, 12, 3
# words named below a text
N_TOP = 4


@dataclass
class DrawnLine:
    """A line of an example: what it explains, and the tokens of the window with their shares of the largest score.

    tokens (list[tuple[str, float, str, bool]]): Text, share from -1 to 1, score in words, and whether it is explained.
    top (list[tuple[str, str]]): The most important words with their scores.
    """

    shown: ShownLine
    tokens: list[tuple[str, float, str, bool]]
    top: list[tuple[str, str]]


class DecidingWords:
    """The section."""

    id = "explanations"
    title = "Which words decide"
    order = 650

    def render(self, data: ReportData) -> Markup | None:
        """Show the heads that can explain themselves (`Explains`). None for a comparison, whose models are not at hand,
        and where no explanations are asked for.
        """
        if data.pipeline is None or data.n_explained == 0 or not data.docs:
            return None
        tables, gaps = collect_words(data.pipeline, data)
        examples = dict(explain_examples(data.pipeline, data))
        heads = [
            {"name": head, "labels": labels, "examples": examples.get(head, [])}
            for head in data.metrics
            if (labels := tables.of_head(head, n_words=N_WORDS))
        ]
        if not heads:
            return None
        return render(
            "deciding_words.html",
            heads=heads,
            n_docs=len(explained_docs(data)),
            n_explained=len(gaps),
            n_rough=sum(gap > 0.01 for gap in gaps),
            n_labels=N_LABELS,
            n_open=OPEN,
            number=number,
            has_own=has_own,
            style=asset("explain.css"),
        )


def make_deciding_words_v1() -> DecidingWords:
    """Build the section on the words that decide."""
    return DecidingWords()


def has_own(labels: Sequence[LabelWords]) -> bool:
    """Whether predictions are about tokens rather than whole docs."""
    return any(label.own_share is not None for label in labels)


def explained_docs(data: ReportData) -> list[int]:
    """The docs that the tables are made from, evenly spread over the data."""
    places = np.linspace(0, len(data.docs) - 1, min(data.n_explained, len(data.docs)))
    return list(dict.fromkeys(places.round().astype(int).tolist()))


def explainer_of(nlp: Language, data: ReportData, index: int) -> DocExplainer:
    """Set up the explanations of a doc."""
    return DocExplainer(nlp, unannotated(data.docs[index], nlp.vocab))


def collect_words(nlp: Language, data: ReportData) -> tuple[LabelTables, list[float]]:
    """Explain one prediction of each head in each doc, of the labels in turn.

    RETURNS: The tables, and how incomplete each explanation is.
    """
    tables, gaps = LabelTables(), []
    for index in tqdm(explained_docs(data), desc="explaining", unit=" docs", disable=None, leave=False):
        explainer = explainer_of(nlp, data, index)
        for head, targets in explainer.targets.items():
            if targets:
                target = tables.rarest(head, targets)
                explanation = explainer.explain(head, target)
                tables.add(target.name.label, explanation)
                gaps.append(explanation.completeness_gap or 0.0)
    return tables, gaps


def explain_examples(nlp: Language, data: ReportData) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Explain a few docs of each head that can explain itself."""
    for head in tqdm(data.metrics, desc="explaining examples", unit=" heads", disable=None, leave=False):
        found = data.first_decisions(head)
        choices = choose_docs(found[0][1] if found else None, data.lengths)
        shown = []
        for choice in choices:
            explainer = explainer_of(nlp, data, choice.index)
            if head not in explainer.targets:
                break
            example = explain_example(explainer, head, choice)
            if example is not None:
                shown.append({"number": choice.index + 1, "lines": draw(example), "choice": choice})
        yield head, shown


def draw(example: ExplainedExample) -> list[DrawnLine]:
    """The lines of an example, cut to a window around what it is about."""
    n_tokens = len(example.lines[0].explanation.tokens)
    first, last = window_of(n_tokens, [(min(example.focus), max(example.focus) + 1)])
    lines = []
    for line in example.lines:
        found = line.explanation
        columns = zip(found.tokens, shares(found), found.scores, strict=True)
        tokens = [
            (text, share, number(score), place in found.target_tokens)
            for place, (text, share, score) in enumerate(columns)
            if first <= place < last
        ]
        top = [(text, number(score)) for _, text, score in found.top(N_TOP) if text.strip() and score]
        lines.append(DrawnLine(line, tokens, top))
    return lines
