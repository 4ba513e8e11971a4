"""Read `.spacy` files as a corpus, with gold tokens if wanted, and without losing annotation."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example, dont_augment
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.vocab import Vocab

READER = "spacy_mtl.Corpus.v1"

AugmenterT = Callable[[Language, Example], Iterable[Example]]


def make_corpus_v1(
    path: Path | None,
    gold_tokens: bool = True,
    max_length: int = 0,
    limit: int = 0,
    augmenter: AugmenterT | None = None,
    shuffle: bool = False,
) -> "Corpus":
    """Build a reader of `.spacy` files, to be used like `spacy.Corpus.v1`.

    path (Path): A `.spacy` file, or a folder of them.
    gold_tokens (bool): Predict on the tokens of the gold docs, so that all annotation is aligned. False tokenizes their
        texts with the pipeline's tokenizer, which is what happens to raw text. Unlike `gold_preproc` of spaCy's reader,
        this neither splits docs into sentences nor drops `cats`.
    max_length (int): Split docs of this many tokens or more into their sentences; 0 never splits. A sentence has no
        `cats`, since these describe the whole doc. A doc without sentence starts and a sentence that is too long
        itself are left out.
    limit (int): Maximum number of docs to read; 0 for all.
    augmenter (Callable[[Language, Example], Iterable[Example]] | None): A spaCy augmenter.
    shuffle (bool): Hold all docs in memory and shuffle them in each pass.
    """
    if path is None:
        raise ValueError(f"{READER}: path is null; name a {FILE_TYPE} file or a folder of them")
    for name, value in (("max_length", max_length), ("limit", limit)):
        if value < 0:
            raise ValueError(f"{READER}: {name} is {value}, expected a positive number, or 0 for no limit")
    return Corpus(
        path, gold_tokens=gold_tokens, max_length=max_length, limit=limit, augmenter=augmenter, shuffle=shuffle
    )


class Corpus:
    """The reader. Each call reads the files again, in the order of their names."""

    def __init__(
        self,
        path: str | Path,
        *,
        gold_tokens: bool = True,
        max_length: int = 0,
        limit: int = 0,
        augmenter: AugmenterT | None = None,
        shuffle: bool = False,
    ) -> None:
        """For the arguments see `make_corpus_v1`."""
        self.path = Path(path)
        self.gold_tokens = gold_tokens
        self.max_length = max_length
        self.limit = limit
        self.augmenter: AugmenterT = augmenter or dont_augment
        self.shuffle = shuffle

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples. Docs without tokens are left out.

        Raises a ValueError that names the file or folder if it is broken or holds no `.spacy` file.
        """
        docs: Iterable[Doc] = islice(read_docs(self.path, nlp.vocab), self.limit or None)
        if self.shuffle:
            docs = list(docs)
            random.shuffle(docs)
        for doc in docs:
            for part in self._parts(doc):
                yield from self.augmenter(nlp, self._example(nlp, part))

    def _parts(self, doc: Doc) -> Iterator[Doc]:
        if self._fits(len(doc)):
            yield doc
        elif doc.has_annotation("SENT_START"):
            yield from (sent.as_doc() for sent in doc.sents if self._fits(len(sent)))

    def _fits(self, n_tokens: int) -> bool:
        return not self.max_length or n_tokens < self.max_length

    def _example(self, nlp: Language, doc: Doc) -> Example:
        if self.gold_tokens or doc.has_unknown_spaces:
            spaces = [bool(token.whitespace_) for token in doc]
            return Example(Doc(nlp.vocab, words=[token.text for token in doc], spaces=spaces), doc)
        return Example(nlp.make_doc(doc.text), doc)


def read_docs(path: Path, vocab: Vocab) -> Iterator[Doc]:
    """Yield the docs with tokens of a `.spacy` file, or of all such files in a folder. Raises as `Corpus`."""
    files = walk_corpus(path, FILE_TYPE)
    if not files:
        raise ValueError(f"{READER}: {path} is neither a {FILE_TYPE} file nor a folder of them")
    for file in files:
        yield from (doc for doc in _load(Path(file)).get_docs(vocab) if len(doc))


def _load(file: Path) -> DocBin:
    try:
        return DocBin().from_disk(file)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{READER}: {file} is no complete .spacy file: {type(error).__name__}: {error}") from error
