"""One corpus of several: its reader, and what is changed in the examples that it gives."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example

from ..config_mappings import read_mapping
from ..origin import mark, name_corpus
from ..protocols.head import Head
from .label_map import LabelMapT, with_labels
from .only_gold import carries_gold
from .pipeline_heads import heads_of

ReaderT = Callable[[Language], Iterable[Example]]


@dataclass(frozen=True)
class Source:
    """A named corpus.

    name (str): Its name in scores, in the mix and in messages.
    reader (Callable[[Language], Iterable[Example]]): Any spaCy reader; each call reads the corpus from its beginning.
    heads (Sequence[str] | None): Only these heads learn from it; None for all.
    weight (float): Its factor in the sampler's proportions.
    limit (int): Maximum number of examples of the reader; 0 for all.
    label_map (Mapping[str, str | None] | None): Labels to rename, or to drop (None).
    augmenter (Callable[[Language, Example], Iterator[Example]] | None): A spaCy augmenter.
    only_gold (bool): Leave out docs that carry no gold of a head that learns from the corpus.
    """

    name: str
    reader: ReaderT
    heads: tuple[str, ...] | None = None
    weight: float = 1.0
    limit: int = 0
    label_map: LabelMapT | None = None
    augmenter: Callable[[Language, Example], Iterable[Example]] | None = None
    only_gold: bool = False

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the corpus from beginning to end. Raises a ValueError that names the corpus, and the file if there is
        one, if it can't be read or is empty.
        """
        count = 0
        try:
            for eg in self._examples(nlp):
                yield eg
                count += 1
        except Exception as error:
            raise ValueError(
                f"corpus {self.name!r}: reading stopped after {count} docs{self._where()}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not count:
            raise ValueError(f"corpus {self.name!r}: its reader gives no docs{self._where()}; fill it or leave it out")

    def _examples(self, nlp: Language) -> Iterator[Example]:
        examples = iter(self.reader(nlp))
        for eg in islice(examples, self.limit) if self.limit else examples:
            mapped = eg if self.label_map is None else self._mapped(eg, nlp)
            if self.only_gold and not carries_gold(mapped, self.learners(nlp)):
                continue
            for changed in [mapped] if self.augmenter is None else self.augmenter(nlp, mapped):
                predicted = name_corpus(changed.predicted, self.name)
                reference = mark(changed.reference, self.name, self.heads)
                same = predicted is changed.predicted and reference is changed.reference
                yield changed if same else Example(predicted, reference)

    def learners(self, nlp: Language) -> dict[str, Head]:
        """Return the pipeline's heads that learn from this corpus. Disabled components count: while spaCy initialises
        the others, it disables those that are sourced or frozen.
        """
        heads = heads_of(nlp.components)
        return {key: head for key, head in heads.items() if self.heads is None or key in self.heads}

    def _mapped(self, eg: Example, nlp: Language) -> Example:
        assert self.label_map is not None
        heads = self.learners(nlp)
        if not heads:
            raise ValueError(
                "label_map is set, but the pipeline has no head that says which labels these are; add a component "
                "multitask with the heads that learn from this corpus, or set label_map to null"
            )
        return Example(eg.predicted, with_labels(eg.reference, self.label_map, heads.values()))

    def _where(self) -> str:
        """Name the broken file if the reader has a path to `.spacy` files and one can't be loaded, else the path."""
        path = getattr(self.reader, "path", None)
        if path is None:
            return ""
        path = Path(path)
        files = sorted(path.rglob("*.spacy")) if path.is_dir() else [path] if path.suffix == ".spacy" else []
        broken = [file for file in files if not _loads(file)]
        return f" (in {broken[0] if broken else path})"


def make_source(name: str, settings: Mapping[str, Any]) -> Source:
    """Check the section of a corpus in the config and make a Source of it."""
    known = [field.name for field in fields(Source) if field.name != "name"]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"corpus {name!r}: it has the settings {unknown}, but the settings are {known}")
    if not callable(settings.get("reader")):
        raise ValueError(
            f"corpus {name!r}: reader is {settings.get('reader')!r}; give it a section reader with @readers"
        )
    source = Source(name, **settings)
    if source.label_map is not None:
        source = replace(source, label_map=read_mapping(source.label_map, f"corpus {name!r}: label_map"))
    if isinstance(source.heads, str) or (source.heads is not None and not source.heads):
        raise ValueError(f"corpus {name!r}: heads is {source.heads!r}; give a list of head names, or null for all")
    if not 0 < source.weight < float("inf"):
        raise ValueError(f"corpus {name!r}: weight is {source.weight}; it must be above 0")
    if source.limit < 0:
        raise ValueError(f"corpus {name!r}: limit is {source.limit}; it must be a number of docs, or 0 for all")
    return source


def _loads(file: Path) -> bool:
    try:
        DocBin().from_disk(file)
    except Exception:
        return False
    return True
