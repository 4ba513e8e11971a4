"""Make the intent and slot data set from a grammar: python assets/make_intents.py OUT_DIR [--lang en|zh] [--seed 0]

Writes train.spacy, dev.spacy and test.spacy: one utterance a Doc, its intent in `doc.cats`, its slots in `doc.ents`.
The same seed gives the same bytes. A slot value of one split never occurs in the text of an earlier split (train, dev,
test).
"""

import argparse
import json
import random
import re
import zlib
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

Grammar = dict[str, Any]
Spans = list[tuple[int, int, str]]  # start character, end character, slot

SPLITS = ("train", "dev", "test")
LANGUAGES = ("en", "zh")
FIELD = re.compile(r"\{(\w+)\}")
SPOKEN_SHARE = 0.6
ASIDE_SHARE = 0.35


def make_corpus(lang: str, seed: int) -> dict[str, list[Doc]]:
    """Draw all splits.

    lang (str): "en" or "zh", the grammar and the tokenizer.
    seed (int): Seed of every random choice.
    RETURNS (dict[str, list[Doc]]): The annotated docs of train, dev and test.
    """
    grammar = load_grammar(lang)
    nlp = spacy.blank(lang)
    rng = random.Random(seed)
    corpus: dict[str, list[Doc]] = {}
    seen = ""
    for split in SPLITS:
        corpus[split] = draw_split(nlp, grammar, split, seen, rng)
        seen += "".join(token_text(doc) for doc in corpus[split])
    return corpus


def load_grammar(lang: str) -> Grammar:
    """Read the frames, slots, words and templates of a language."""
    path = Path(__file__).parent / f"grammar_{lang}.json"
    return json.loads(path.read_text(encoding="utf8"))


def draw_split(nlp: Language, grammar: Grammar, split: str, seen: str, rng: random.Random) -> list[Doc]:
    """Draw as many different utterances as the grammar's sizes ask for; intents are equally likely."""
    intents = list(grammar["intents"])
    docs: dict[str, Doc] = {}
    while len(docs) < grammar["sizes"][split]:
        intent = rng.choice(intents)
        text, spans = draw_utterance(nlp, grammar, intent, split, seen, rng)
        values = [text[start:end] for start, end, _ in spans]
        if len(set(values)) == len(values):
            docs.setdefault(text, annotate(nlp, text, spans, intent, intents))
    return list(docs.values())


def draw_utterance(
    nlp: Language, grammar: Grammar, intent: str, split: str, seen: str, rng: random.Random
) -> tuple[str, Spans]:
    """Draw a template, the words around it and a value for each of its slots.

    RETURNS (tuple[str, Spans]): The text and the character spans of its slots.
    """
    request = fill(rng.choice(grammar["intents"][intent][split]), grammar["carriers"], rng)
    kind = "aside" if rng.random() < ASIDE_SHARE else "plain"
    frame = fill(rng.choice(grammar["frames"][kind]), words_of(grammar, split), rng)
    template = frame.replace("{request}", request)
    spoken = rng.random() < SPOKEN_SHARE
    if spoken:
        template = "".join(char for char in template.lower() if char not in grammar["punctuation"])
    text, spans = "", []
    for i, piece in enumerate(FIELD.split(template)):
        if i % 2:
            value = draw_value(nlp, grammar, piece, split, seen, rng)
            spans.append((len(text), len(text) + len(value), piece))
            piece = value
        text += piece
    return (text.lower() if spoken else text[0].upper() + text[1:]), spans


def draw_value(nlp: Language, grammar: Grammar, slot: str, split: str, seen: str, rng: random.Random) -> str:
    """Draw a value of the slot that belongs to the split and does not occur in the text of the earlier splits.

    A value made of a word that has splits of its own is held out by that word; any other value, such as a time, by
    its hash.
    """
    while True:
        pattern = rng.choice(grammar["slots"][slot])
        value = fill(pattern, words_of(grammar, split), rng)
        by_word = any(isinstance(grammar["words"][name], dict) for name in FIELD.findall(pattern))
        if (by_word or hashed_split(value) == split) and token_text(nlp.make_doc(value)) not in seen:
            return value


def words_of(grammar: Grammar, split: str) -> dict[str, list[str]]:
    """The word lists that the split may use: its own ones and those that all splits share."""
    return {name: words[split] if isinstance(words, dict) else words for name, words in grammar["words"].items()}


def fill(pattern: str, words: dict[str, list[str]], rng: random.Random) -> str:
    """Replace each field that has a word list; a field that occurs twice gets two different words."""
    names = [name for name in FIELD.findall(pattern) if name in words]
    drawn = {name: rng.sample(words[name], names.count(name)) for name in dict.fromkeys(names)}
    return FIELD.sub(lambda match: drawn[match[1]].pop() if match[1] in drawn else match[0], pattern)


def hashed_split(value: str) -> str:
    """The split of a value made only of shared words: 1/8 of them dev, 1/4 test, the others train."""
    return ("dev", "test", "test", *["train"] * 5)[zlib.crc32(value.lower().encode("utf8")) % 8]


def token_text(doc: Doc) -> str:
    """The lower-cased tokens, each between spaces, so that `in` finds whole tokens only."""
    return f" {' '.join(token.lower_ for token in doc)} "


def annotate(nlp: Language, text: str, spans: Spans, intent: str, intents: list[str]) -> Doc:
    """Tokenise the text and set its intent and slots."""
    doc = nlp.make_doc(text)
    ents = [doc.char_span(start, end, label) for start, end, label in spans]
    for ent, (start, end, label) in zip(ents, spans, strict=True):
        if ent is None:
            raise ValueError(f"slot '{label}': '{text[start:end]}' does not begin and end with a token of '{text}'")
    doc.set_ents(ents)
    doc.cats = {name: float(name == intent) for name in intents}
    return doc


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an intent and slot data set as spaCy DocBins.")
    parser.add_argument("out_dir", type=Path, help="folder for train.spacy, dev.spacy and test.spacy")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="language of the utterances (default: en)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for split, docs in make_corpus(args.lang, args.seed).items():
        DocBin(docs=docs).to_disk(args.out_dir / f"{split}.spacy")
        print(f"{split}: {len(docs)} utterances")


if __name__ == "__main__":
    main()
