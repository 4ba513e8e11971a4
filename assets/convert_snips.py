"""Convert the SNIPS json files to train.spacy, dev.spacy and test.spacy:

python assets/convert_snips.py assets/snips corpus/snips [--split standard|random] [--lower] [--drop-punct]

The files are those of https://github.com/sonos/nlu-benchmark, 2017-06-custom-intent-engines (Coucke et al. 2018).
"""

import argparse
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from snips_split import TEST_POSITIONS, TRAIN_FULL_SIZES
from spacy.language import Language
from spacy.tokens import Doc

from spacy_mtl.converters.conversion import make_nlp
from spacy_mtl.converters.output import write_docs
from spacy_mtl.converters.tags import EntityT, set_entities
from spacy_mtl.converters.text_files import ConversionError, read_text

FOLDER = "2017-06-custom-intent-engines"
# The marks that the published lower-cased split has no trace of, inside words ("i d like", "2 0") too.
PUNCT = re.compile(r"[.,;!?']")

UtteranceT = tuple[str, list[EntityT]]  # text, character spans
CorpusT = dict[str, list[UtteranceT]]  # by intent


def convert_snips(
    path: Path,
    nlp: Language,
    *,
    split: str = "standard",
    dev_size: int = 700,
    seed: int = 0,
    lower: bool = False,
    drop_punct: bool = False,
) -> dict[str, Iterator[Doc]]:
    """Docs with slots in `doc.ents` and every intent as a key of `doc.cats` (1.0 or 0.0), by split.

    Reads `train_<Intent>_full.json` and `validate_<Intent>.json` of each intent's folder. With `split="standard"`, test
    is the 700 utterances of `train_*_full` that papers report on, dev is `validate_*`, train is the rest. With
    `split="random"`, test is `validate_*`, and dev is drawn from `train_*_full`, equally many from each intent.

    The files are UTF-8, except that `train_PlayMusic_full.json` has a character beyond U+FFFF as two surrogates
    (CESU-8); both are read. White space is collapsed to one space and cut off at both ends of texts and of slots.
    Where a slot starts or ends inside a token of `nlp`, the token is split.

    path (Path): The folder with one folder an intent, or the one above it.
    nlp (Language): Makes the docs.
    split (str): "standard" or "random".
    dev_size (int): Docs in dev, for `split="random"`.
    seed (int): Seed of the draw, for `split="random"`.
    lower (bool): Lower-case the text.
    drop_punct (bool): Turn each of `. , ; ! ? '` into a space. With `lower` and white space tokens this gives the
        words of the lower-cased files that papers use.
    RETURNS (dict[str, Iterator[Doc]]): "train", "dev" and "test", each lazily.
    RAISES ConversionError: A file is missing, is no JSON of the expected form, or is in another encoding; or the files
        are not those that the standard split is about.
    """
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    intents = sorted(file.parent.name for file in folder.glob("*/train_*_full.json"))
    if not intents:
        raise ConversionError(path, "no <Intent>/train_<Intent>_full.json in this folder")
    clean = {"lower": lower, "drop_punct": drop_punct}
    full = {intent: _read_file(folder / intent / f"train_{intent}_full.json", intent, **clean) for intent in intents}
    validate = {intent: _read_file(folder / intent / f"validate_{intent}.json", intent, **clean) for intent in intents}
    if split == "standard":
        drawn, rest = _draw(full, standard_positions(full, path=folder))
        parts = {"train": rest, "dev": validate, "test": drawn}
    elif split == "random":
        drawn, rest = _draw(full, random_positions(full, dev_size, seed=seed, path=folder))
        parts = {"train": rest, "dev": drawn, "test": validate}
    else:
        raise ConversionError(path, f"split is {split!r}, expected 'standard' or 'random'")
    return {name: _make_docs(nlp, corpus) for name, corpus in parts.items()}


def standard_positions(corpus: Mapping[str, Sequence[Any]], *, path: Path) -> dict[str, set[int]]:
    """Positions of the standard test set in each intent's utterances.

    corpus (Mapping[str, Sequence]): The utterances of `train_*_full`, by intent.
    path (Path): The folder, for errors.
    RETURNS (dict[str, set[int]]): Positions from 0, by intent.
    RAISES ConversionError: The numbers of utterances are not those of the published files.
    """
    sizes = {intent: len(utterances) for intent, utterances in corpus.items()}
    if sizes != TRAIN_FULL_SIZES:
        message = f"the standard split is about {TRAIN_FULL_SIZES} utterances, found {sizes}: use the random split"
        raise ConversionError(path, message)
    return {intent: {int(i) for i in positions.split()} for intent, positions in TEST_POSITIONS.items()}


def random_positions(corpus: Mapping[str, Sequence[Any]], size: int, *, seed: int, path: Path) -> dict[str, set[int]]:
    """A draw of equally many utterances of each intent; the first intents give one more if `size` does not divide.

    corpus (Mapping[str, Sequence]): The utterances, by intent.
    size (int): The number of utterances to draw.
    seed (int): Seed of the draw.
    path (Path): The folder, for errors.
    RETURNS (dict[str, set[int]]): Positions from 0, by intent.
    RAISES ConversionError: An intent has too few utterances.
    """
    generator = random.Random(seed)
    share, n_larger = divmod(size, len(corpus))
    positions = {}
    for i, (intent, utterances) in enumerate(corpus.items()):
        n = share + (i < n_larger)
        if not 0 <= n < len(utterances):
            message = (
                f"dev_size {size} takes {n} of the {len(utterances)} utterances of {intent}, which leaves no train"
            )
            raise ConversionError(path, message)
        positions[intent] = set(generator.sample(range(len(utterances)), n))
    return positions


def _draw(corpus: CorpusT, positions: Mapping[str, set[int]]) -> tuple[CorpusT, CorpusT]:
    """The utterances at the positions, and the others."""
    drawn: CorpusT = {}
    rest: CorpusT = {}
    for intent, utterances in corpus.items():
        drawn[intent] = [u for i, u in enumerate(utterances) if i in positions[intent]]
        rest[intent] = [u for i, u in enumerate(utterances) if i not in positions[intent]]
    return drawn, rest


def _read_file(path: Path, intent: str, *, lower: bool, drop_punct: bool) -> list[UtteranceT]:
    """The utterances of one file: `{intent: [{"data": [{"text": …, "entity": …}, …]}, …]}`."""
    try:
        content = json.loads(_read_cesu8(path))
    except json.JSONDecodeError as e:
        raise ConversionError(path, f"broken JSON at column {e.colno}: {e.msg}", e.lineno) from e
    if not isinstance(content, dict) or not isinstance(content.get(intent), list):
        raise ConversionError(path, f"expected an object with the key {intent!r} and a list of utterances")
    utterances = []
    for i, item in enumerate(content[intent], start=1):
        try:
            segments = [(segment["text"], segment.get("entity", "")) for segment in item["data"]]
            utterance = join_segments(segments, lower=lower, drop_punct=drop_punct)
        except (KeyError, TypeError, AttributeError) as e:
            message = f'utterance {i}: expected {{"data": [{{"text": ..., "entity": ...}}]}}, found {str(item)[:80]}'
            raise ConversionError(path, message) from e
        if not utterance[0]:
            raise ConversionError(path, f"utterance {i} has no text")
        utterances.append(utterance)
    return utterances


def _read_cesu8(path: Path) -> str:
    """Text of a UTF-8 or CESU-8 file: pairs of surrogates become the character that they stand for."""
    text = read_text(path, errors="surrogatepass")
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as e:
        position = next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
        line = text.count("\n", 0, position) + 1
        raise ConversionError(path, "a surrogate without its pair is neither UTF-8 nor CESU-8", line) from e


def join_segments(segments: Sequence[tuple[str, str]], *, lower: bool = False, drop_punct: bool = False) -> UtteranceT:
    """The text of an utterance and its slots, with white space collapsed.

    segments (Sequence[tuple[str, str]]): Text and slot name ("" outside slots) of each segment.
    lower (bool): Lower-case the text.
    drop_punct (bool): Turn each of `. , ; ! ? '` into a space.
    RETURNS (tuple[str, list[tuple[int, int, str]]]): The text, and first character, character after the last, and name
        of each slot. A slot of white space alone is dropped.
    """
    text = ""
    slots = []
    for segment, name in segments:
        segment = segment.lower() if lower else segment
        segment = PUNCT.sub(" ", segment) if drop_punct else segment
        segment = re.sub(r"\s+", " ", segment)
        text += segment.lstrip() if not text or text.endswith(" ") else segment
        if name and segment.strip():
            end = len(text.rstrip())
            slots.append((end - len(segment.strip()), end, name))
    return text.rstrip(), slots


def _make_docs(nlp: Language, corpus: CorpusT) -> Iterator[Doc]:
    for intent, utterances in corpus.items():
        for text, slots in utterances:
            doc = make_slot_doc(nlp, text, slots)
            doc.cats = {key: float(key == intent) for key in corpus}
            yield doc


def make_slot_doc(nlp: Language, text: str, slots: Sequence[EntityT]) -> Doc:
    """A doc with entities at character spans; a token that a span cuts is split there.

    nlp (Language): Makes the doc.
    text (str): The text, without two spaces in a row.
    slots (Sequence[tuple[int, int, str]]): First character, character after the last, label.
    RETURNS (Doc): The doc with entities; all other tokens are `O`.
    """
    doc = nlp.make_doc(text)
    cuts = {i for start, end, _ in slots for i in (start, end)}
    edges = {token.idx for token in doc} | {token.idx + len(token) for token in doc}
    if not cuts <= edges:
        doc = _split_tokens(doc, cuts)
    first = {token.idx: token.i for token in doc}
    last = {token.idx + len(token): token.i for token in doc}
    set_entities(doc, [(first[start], last[end] + 1, label) for start, end, label in slots])
    return doc


def _split_tokens(doc: Doc, cuts: set[int]) -> Doc:
    words: list[str] = []
    spaces: list[bool] = []
    for token in doc:
        edges = [token.idx, *sorted(c for c in cuts if token.idx < c < token.idx + len(token)), token.idx + len(token)]
        words.extend(doc.text[a:b] for a, b in pairwise(edges))
        spaces.extend([False] * (len(edges) - 2) + [bool(token.whitespace_)])
    return Doc(doc.vocab, words=words, spaces=spaces)


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert the SNIPS json files to .spacy files.")
    parser.add_argument("path", type=Path, help=f"folder with one folder per intent, or the one above ({FOLDER})")
    parser.add_argument("out_dir", type=Path, help="folder for train.spacy, dev.spacy and test.spacy")
    parser.add_argument(
        "--split",
        choices=("standard", "random"),
        default="standard",
        help="standard: the test set of the papers; random: dev drawn from train, test from validate_*.json",
    )
    parser.add_argument("--dev-size", type=int, default=700, help="number of dev docs of --split random (default: 700)")
    parser.add_argument("--seed", type=int, default=0, help="seed of --split random (default: 0)")
    parser.add_argument("--lower", action="store_true", help="lower-case the text")
    parser.add_argument("--drop-punct", action="store_true", help="turn . , ; ! ? ' into spaces, as the papers do")
    parser.add_argument("--tokenizer", choices=("spacy", "whitespace"), default="spacy", help="default: spacy")
    args = parser.parse_args()
    nlp = make_nlp("en", args.tokenizer)
    options = {name: getattr(args, name) for name in ("split", "dev_size", "seed", "lower", "drop_punct")}
    try:
        docs = convert_snips(args.path, nlp, **options)
        counts = write_docs({args.out_dir / f"{name}.spacy": split for name, split in docs.items()}, nlp)
    except (ConversionError, OSError) as error:
        raise SystemExit(f"Nothing was written: {error}") from error
    print(", ".join(f"{path.stem} {count.docs}" for path, count in counts.items()))


if __name__ == "__main__":
    main()
