"""Make three corpora with different labels: python assets/split_corpora.py OUT_DIR [--seed 0] [--train N] [--dev N]

    OUT_DIR/intents/   commands with their intent in `doc.cats`, and no slots
    OUT_DIR/slots/     other commands with their slots in `doc.ents`, and no intent
    OUT_DIR/topics/    others again, with one of three topics in `doc.cats`, and dates and times alone, as DATE and TIME

The test set of topics calls them date and time, as a pipeline does that was trained with label_map. Each has
train.spacy, dev.spacy and test.spacy. No text is in two of the corpora. The same seed gives the same bytes.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from make_intents import make_corpus
from spacy.tokens import Doc, DocBin, Span

TOPICS = {
    "music": ("play_music", "add_to_playlist", "remove_from_playlist"),
    "time": ("set_alarm", "cancel_alarm", "set_reminder"),
    "going_out": ("book_table", "cancel_table", "book_trip", "get_weather", "order_food"),
}
# The other corpus calls them by other names: label_map can bring them together.
WHEN = {"date": "DATE", "time": "TIME"}


def intents_only(doc: Doc, split: str) -> Doc:
    """The doc without its slots: whether it has any is not known."""
    doc.set_ents([], default="missing")
    return doc


def slots_only(doc: Doc, split: str) -> Doc:
    """The doc without its intent."""
    doc.cats = {}
    return doc


def topic_and_when(doc: Doc, split: str) -> Doc:
    """The topic of the doc's intent, and what is known of dates and times; other slots are unset."""
    intent = max(doc.cats, key=doc.cats.__getitem__)
    doc.cats = {topic: float(intent in intents) for topic, intents in TOPICS.items()}
    known = [ent for ent in doc.ents if ent.label_ in WHEN]
    others = [ent for ent in doc.ents if ent.label_ not in WHEN]
    if split != "test":
        known = [Span(doc, ent.start, ent.end, WHEN[ent.label_]) for ent in known]
    doc.set_ents(known, missing=others, default="outside")
    return doc


def has_topic(doc: Doc) -> bool:
    """Whether the doc's intent belongs to a topic."""
    intent = max(doc.cats, key=doc.cats.__getitem__)
    return any(intent in intents for intents in TOPICS.values())


CORPORA: dict[str, Callable[[Doc, str], Doc]] = {
    "intents": intents_only,
    "slots": slots_only,
    "topics": topic_and_when,
}


def make_corpora(seed: int, sizes: dict[str, int]) -> dict[str, dict[str, list[Doc]]]:
    """Corpus -> split -> docs. Every third utterance of the English grammar belongs to the same corpus."""
    corpora: dict[str, dict[str, list[Doc]]] = {name: {} for name in CORPORA}
    for split, docs in make_corpus("en", seed).items():
        for place, (name, change) in enumerate(CORPORA.items()):
            mine = [doc for doc in docs[place::3] if name != "topics" or has_topic(doc)]
            corpora[name][split] = [change(doc, split) for doc in mine[: sizes.get(split)]]
    return corpora


def main() -> None:
    parser = argparse.ArgumentParser(description="Make three corpora with different labels.")
    parser.add_argument("out_dir", type=Path, help="folder for a folder of each corpus")
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")
    parser.add_argument("--train", type=int, default=1500, help="at most so many train docs in each (default: 1500)")
    parser.add_argument("--dev", type=int, default=200, help="at most so many dev docs in each (default: 200)")
    args = parser.parse_args()
    for name, splits in make_corpora(args.seed, {"train": args.train, "dev": args.dev}).items():
        (args.out_dir / name).mkdir(parents=True, exist_ok=True)
        for split, docs in splits.items():
            DocBin(docs=docs).to_disk(args.out_dir / name / f"{split}.spacy")
        print(f"{name}: {', '.join(f'{split} {len(docs)}' for split, docs in splits.items())}")


if __name__ == "__main__":
    main()
