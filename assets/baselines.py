"""Score word-level baselines on an intent and slot data set: python assets/baselines.py DATA_DIR

Intent: logistic regression on a bag of words. Slots: a gazetteer of the training values. Both learn from train.spacy
and are scored on test.spacy. They show how much of the data is solved by looking words up.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import spacy
from spacy.tokens import Doc, DocBin

Slots = set[tuple[int, int, str]]  # start token, end token, slot
Gazetteer = dict[tuple[str, ...], str]

STEPS = 300
LEARN_RATE = 0.1


def score_baselines(train: list[Doc], test: list[Doc]) -> dict[str, float]:
    """Train both baselines and score them.

    train (list[Doc]): Docs with `cats` and `ents` to learn from.
    test (list[Doc]): Docs with `cats` and `ents` to score on.
    RETURNS (dict[str, float]): Fractions: `intent_acc`, `slots_f` (exact spans, micro), and `exact`, the share of docs
        with the right intent and all slots right.
    """
    guessed_intents = predict_intents(train, test)
    gazetteer = read_gazetteer(train)
    guessed_slots = [look_up(gazetteer, doc) for doc in test]
    gold_slots = [slots_of(doc) for doc in test]
    right_intent = [guess == intent_of(doc) for guess, doc in zip(guessed_intents, test, strict=True)]
    right_slots = [guess == gold for guess, gold in zip(guessed_slots, gold_slots, strict=True)]
    hits = sum(len(guess & gold) for guess, gold in zip(guessed_slots, gold_slots, strict=True))
    total = sum(len(slots) for slots in guessed_slots + gold_slots)
    return {
        "intent_acc": float(np.mean(right_intent)),
        "slots_f": 2 * hits / total,
        "exact": float(np.mean(np.logical_and(right_intent, right_slots))),
    }


def predict_intents(train: list[Doc], test: list[Doc]) -> list[str]:
    """Fit a logistic regression (Adam, full batch) on the words of train and label test."""
    vocab = {word: i for i, word in enumerate(sorted({token.lower_ for doc in train for token in doc}))}
    intents = sorted(train[0].cats)
    inputs = bag_of_words(train, vocab)
    gold = np.eye(len(intents), dtype="f")[[intents.index(intent_of(doc)) for doc in train]]
    weights = np.zeros((len(vocab) + 1, len(intents)), dtype="f")
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        grad = inputs.T @ (softmax(inputs @ weights) - gold) / len(train)
        mean = 0.9 * mean + 0.1 * grad
        square = 0.999 * square + 0.001 * grad**2
        weights -= LEARN_RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return [intents[i] for i in (bag_of_words(test, vocab) @ weights).argmax(axis=1)]


def bag_of_words(docs: list[Doc], vocab: dict[str, int]) -> np.ndarray:
    """One row a doc: 1 for each known word that occurs in it, and a constant 1 in the last column."""
    rows = np.zeros((len(docs), len(vocab) + 1), dtype="f")
    rows[:, -1] = 1
    for row, doc in zip(rows, docs, strict=True):
        row[[vocab[token.lower_] for token in doc if token.lower_ in vocab]] = 1
    return rows


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of each row."""
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def read_gazetteer(docs: list[Doc]) -> Gazetteer:
    """Map the lower-cased words of each slot value to its most frequent slot."""
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for doc in docs:
        for ent in doc.ents:
            counts[words_of(ent)][ent.label_] += 1
    return {words: slots.most_common(1)[0][0] for words, slots in counts.items()}


def look_up(gazetteer: Gazetteer, doc: Doc) -> Slots:
    """Find known values from left to right, the longest first."""
    longest = max(map(len, gazetteer))
    words = words_of(doc)
    found: Slots = set()
    start = 0
    while start < len(words):
        ends = range(min(len(words), start + longest), start, -1)
        end = next((end for end in ends if words[start:end] in gazetteer), None)
        if end is not None:
            found.add((start, end, gazetteer[words[start:end]]))
        start = end or start + 1
    return found


def words_of(tokens: spacy.tokens.Doc | spacy.tokens.Span) -> tuple[str, ...]:
    """The lower-cased words."""
    return tuple(token.lower_ for token in tokens)


def intent_of(doc: Doc) -> str:
    """The category with the highest value."""
    return max(doc.cats, key=doc.cats.__getitem__)


def slots_of(doc: Doc) -> Slots:
    """The token spans and labels of the entities."""
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a bag of words and a gazetteer on an intent and slot data set.")
    parser.add_argument("data_dir", type=Path, help="folder with train.spacy and test.spacy")
    args = parser.parse_args()
    vocab = spacy.blank("xx").vocab
    paths = (args.data_dir / f"{name}.spacy" for name in ("train", "test"))
    train, test = (list(DocBin().from_disk(path).get_docs(vocab)) for path in paths)
    scores = score_baselines(train, test)
    print(f"intent accuracy, bag of words  {100 * scores['intent_acc']:5.1f}")
    print(f"slot F1, gazetteer             {100 * scores['slots_f']:5.1f}")
    print(f"exact match, both together     {100 * scores['exact']:5.1f}")


if __name__ == "__main__":
    main()
