"""Make the relation data set from a grammar: python assets/make_relations.py OUT_DIR [--seed 0]

Writes train.spacy, dev.spacy and test.spacy: one sentence or two a Doc, people, organisations and places in `doc.ents`,
six directed relations between them in `doc.spans["relations"]`. Many pairs of a sentence are not related, and some
sentences have no relation or no entity. Each split has names and sentence templates of its own. Also writes news.txt:
raw sentences about a small world, whose graph is worth looking at. The same seed gives the same bytes.
"""

import argparse
import json
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, SpanGroup

Grammar = dict[str, Any]
# slot -> name; label of a relation between two names
Names = dict[str, str]
Fact = tuple[str, str, str]  # head, label, tail
DrawNames = Callable[[dict[str, Any]], Names]

SPLITS = ("train", "dev", "test")
SLOT = re.compile(r"\{(\w+):(\w+)\}")
FIELD = re.compile(r"\{(\w+)\}")
TRIES = 100_000


def load_grammar() -> Grammar:
    """Read the names, clauses and sizes."""
    path = Path(__file__).parent / "grammar_relations.json"
    return json.loads(path.read_text(encoding="utf8"))


def make_corpus(seed: int) -> tuple[dict[str, list[Doc]], list[str]]:
    """Draw all splits, and the raw sentences.

    seed (int): Seed of every random choice.
    RETURNS (tuple[dict[str, list[Doc]], list[str]]): The annotated docs of train, dev and test, and the news.
    """
    grammar = load_grammar()
    nlp = spacy.blank("en")
    rng = random.Random(seed)
    name_words = split_name_words(grammar, rng)
    corpus: dict[str, list[Doc]] = {}
    for split in SPLITS:
        docs: dict[str, Doc] = {}
        draw_names = partial(fresh_names, grammar, split, name_words[split], rng)
        while len(docs) < grammar["sizes"][split]:
            doc = draw_doc(nlp, grammar, split, rng, draw_names)
            docs.setdefault(doc.text, doc)
        corpus[split] = list(docs.values())
    return corpus, draw_news(nlp, grammar, name_words["test"], rng)


def split_name_words(grammar: Grammar, rng: random.Random) -> dict[str, list[str]]:
    """The invented names that people, organisations and places are called by, each in one split."""
    begin, middle, end = grammar["syllables"].values()
    words = sorted({a + b + c for a in begin for b in middle for c in end})
    rng.shuffle(words)
    n = len(words)
    return {"train": words[: n // 2], "dev": words[n // 2 : 3 * n // 4], "test": words[3 * n // 4 :]}


def draw_name(grammar: Grammar, split: str, kind: str, words: list[str], rng: random.Random) -> str:
    """A name of an entity of this type."""
    first = rng.choice(grammar["first_names"][split])
    return rng.choice(grammar["patterns"][kind]).format(first=first, name=rng.choice(words))


def fresh_names(grammar: Grammar, split: str, words: list[str], rng: random.Random, clause: dict[str, Any]) -> Names:
    """A name for each slot of a clause."""
    return {slot: draw_name(grammar, split, kind, words, rng) for slot, kind in SLOT.findall(clause["text"])}


def draw_doc(nlp: Language, grammar: Grammar, split: str, rng: random.Random, draw_names: DrawNames) -> Doc:
    """One clause or two, with names, entities and relations. Names that occur twice are drawn again."""
    while True:
        joint = rng.choice(grammar["joints"])
        clauses = [rng.choice(grammar["clauses"][split]) for _ in FIELD.findall(joint)]
        names = [draw_names(clause) for clause in clauses]
        used = [name for one in names for name in one.values()]
        if not any(a != b and (a in b or b in a) for a in used for b in used) and len(set(used)) == len(used):
            return annotate(nlp, joint, clauses, names)


def annotate(nlp: Language, joint: str, clauses: list[dict[str, Any]], names: list[Names]) -> Doc:
    """The doc of joined clauses."""
    text, places = "", {}
    for i, piece in enumerate(FIELD.split(joint)):
        if i % 2 == 0:
            text += piece
            continue
        number = int(piece)
        for j, part in enumerate(re.split(r"\{(\w+:\w+)\}", clauses[number]["text"])):
            if j % 2:
                slot, kind = part.split(":")
                part = names[number][slot]
                places[number, slot] = (len(text), len(text) + len(part), kind)
            text += part
    doc = nlp.make_doc(text[0].upper() + text[1:])
    spans = {key: doc.char_span(start, end, label=kind) for key, (start, end, kind) in places.items()}
    for key, span in spans.items():
        if span is None:
            raise ValueError(f"slot {key} does not begin and end with a token of {text!r}")
    doc.set_ents(list(spans.values()))
    triples = [(number, *fact.split()) for number, clause in enumerate(clauses) for fact in clause["relations"]]
    arguments = [spans[number, slot] for number, head, _, tail in triples for slot in (head, tail)]
    labels = [label for _, _, label, _ in triples]
    doc.spans["relations"] = SpanGroup(doc, name="relations", spans=arguments, attrs={"labels": labels})
    return doc


def draw_news(nlp: Language, grammar: Grammar, words: list[str], rng: random.Random) -> list[str]:
    """Sentences about a small world of names of the test set, in which all relations agree with each other."""
    cast, facts = make_world(grammar, words, rng)
    draw_names = partial(known_names, cast, facts, rng)
    return [draw_doc(nlp, grammar, "test", rng, draw_names).text for _ in range(grammar["world"]["sentences"])]


def make_world(grammar: Grammar, words: list[str], rng: random.Random) -> tuple[dict[str, list[str]], set[Fact]]:
    """The names of a world by type, and what holds between them."""
    cast: dict[str, list[str]] = {}
    pool = rng.sample(words, len(words))
    for kind in ("PER", "ORG", "LOC"):
        cast[kind] = [draw_name(grammar, "test", kind, [pool.pop()], rng) for _ in range(grammar["world"][kind])]
    people, firms, places = cast.values()
    facts = {(person, "works_for", rng.choice(firms)) for person in people}
    facts |= {(person, "born_in", rng.choice(places)) for person in people}
    facts |= {(firm, "based_in", rng.choice(places)) for firm in firms}
    facts |= {(rng.choice(people), "founded", firm) for firm in firms}
    facts |= {(firms[0], "acquired", firm) for firm in firms[1:4]}
    facts |= {(firms[4], "acquired", firms[5])}
    facts |= {pair for a, b in zip(people[:6:2], people[1:6:2], strict=True) for pair in both(a, b)}
    return cast, facts


def both(a: str, b: str) -> set[Fact]:
    """A marriage, which holds in both directions."""
    return {(a, "married_to", b), (b, "married_to", a)}


def known_names(cast: dict[str, list[str]], facts: set[Fact], rng: random.Random, clause: dict[str, Any]) -> Names:
    """Names of the world for the slots of a clause, so that what it says is true, and what it denies is not."""
    slots = SLOT.findall(clause["text"])
    for _ in range(TRIES):
        names = {slot: rng.choice(cast[kind]) for slot, kind in slots}
        said, denied = (facts_of(clause.get(key, ()), names) for key in ("relations", "denied"))
        if said <= facts and not denied & facts:
            return names
    raise ValueError(f"nothing in the world fits {clause['text']!r}")


def facts_of(relations: Sequence[str], names: Names) -> set[Fact]:
    """What relations such as "a works_for o" say about names."""
    triples = (relation.split() for relation in relations)
    return {(names[head], label, names[tail]) for head, label, tail in triples}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a relation data set as spaCy DocBins.")
    parser.add_argument("out_dir", type=Path, help="folder for train.spacy, dev.spacy, test.spacy and news.txt")
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    corpus, news = make_corpus(args.seed)
    for split, docs in corpus.items():
        DocBin(docs=docs).to_disk(args.out_dir / f"{split}.spacy")
        n_relations = sum(len(doc.spans["relations"]) // 2 for doc in docs)
        print(f"{split}: {len(docs)} docs, {sum(len(doc.ents) for doc in docs)} entities, {n_relations} relations")
    (args.out_dir / "news.txt").write_text("\n".join(news) + "\n", encoding="utf8", newline="\n")
    print(f"news: {len(news)} texts")


if __name__ == "__main__":
    main()
