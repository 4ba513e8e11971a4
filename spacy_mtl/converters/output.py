"""Writing docs to `.spacy` files: all of them, or none."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from tqdm import tqdm

from ..all_entities import all_entities
from ..relation import relations


@dataclass
class Counts:
    """What was written to a file."""

    docs: int = 0
    tokens: int = 0
    cats: Counter[str] = field(default_factory=Counter)
    """Docs with the value 1.0, by key of `doc.cats`; a key that never applies counts 0."""
    ents: Counter[str] = field(default_factory=Counter)
    """Entities, by label."""
    relations: Counter[str] = field(default_factory=Counter)
    """Relations, by label."""
    misaligned: int = 0
    """Entities that do not start and end at tokens of the tokenizer."""

    def add(self, doc: Doc, nlp: Language) -> None:
        """Count a doc.

        doc (Doc): The gold doc.
        nlp (Language): Its tokenizer is the one that entities are compared with.
        """
        self.docs += 1
        self.tokens += len(doc)
        self.cats.update({key: int(value) for key, value in doc.cats.items()})
        self.relations.update(relation.label for relation in relations(doc))
        ents = all_entities(doc)
        self.ents.update(ent.label_ for ent in ents)
        if ents:
            predicted = nlp.make_doc(doc.text)
            spans = [predicted.char_span(ent.start_char, ent.end_char) for ent in ents]
            self.misaligned += spans.count(None)


def write_docs(outputs: Mapping[Path, Iterable[Doc]], nlp: Language) -> dict[Path, Counts]:
    """Write each stream of docs to its DocBin file.

    Nothing is written before every stream has ended. Files are first written under a temporary name in the
    same folder, then renamed, so that an error leaves existing files as they are.

    outputs (Mapping[Path, Iterable[Doc]]): The docs of each `.spacy` file.
    nlp (Language): The pipeline whose tokenizer `Counts.misaligned` is about.
    RETURNS (dict[Path, Counts]): What was written to each file.
    RAISES OSError: A file cannot be written.
    """
    counts = {path: Counts() for path in outputs}
    bins = {path: DocBin() for path in outputs}
    for path, docs in outputs.items():
        for doc in tqdm(docs, desc=path.name, unit=" docs", disable=None):
            bins[path].add(doc)
            counts[path].add(doc, nlp)
    _replace_files({path: doc_bin.to_bytes() for path, doc_bin in bins.items()})
    return counts


def _replace_files(contents: Mapping[Path, bytes]) -> None:
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, content in contents.items():
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary[path].write_bytes(content)
        for path in contents:
            os.replace(temporary[path], path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
