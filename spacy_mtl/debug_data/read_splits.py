"""Reading all corpora of a config once, and counting what each head finds in them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.training import Example
from spacy.util import load_model_from_config, minibatch, registry
from thinc.api import Config

from ..pipeline.consistency import GoldCosts, find_consistent, find_gold_costs, update_constraints
from ..pipeline.head_views import HeadViews, check_head_names
from ..protocols.head import Head
from ..readers.multi_corpus import MultiCorpus
from ..readers.pipeline_heads import heads_of
from ..readers.source import Source
from .audit import Audit, Finding
from .counts import Part
from .findings import find_problems
from .stored_docs import CHUNK, count_stored


def audit(config: Config) -> Audit:
    """Read every split of `[corpora]` once, the train split first, unsampled.

    config (Config): A training config with a component `multitask`.
    RETURNS (Audit): The numbers and the findings. A corpus that can't be read is among the errors.
    RAISES ValueError: The config has no component of this package, or no corpora.
    """
    nlp = load_model_from_config(config, auto_fill=True)
    heads = heads_of(nlp.pipeline)
    if not heads:
        raise ValueError(f"the pipeline has no component multitask: {nlp.pipe_names}; spacy debug data is for others")
    settings = nlp.config.interpolate()
    train = str(settings["training"]["train_corpus"]).removeprefix("corpora.")
    splits: dict[str, Any] = registry.resolve(settings["corpora"])
    if train not in splits:
        raise ValueError(f"training.train_corpus is 'corpora.{train}', but the corpora are {list(splits)}")
    result = Audit(train, list(heads))
    for split in (train, *(name for name in splits if name not in (train, "pretrain"))):
        for source in corpora_in_split(splits[split], split):
            part = Part(split, source.name)
            result.parts.append(part)
            try:
                count(part, source(nlp), heads, is_train=split == train)
                part.stored = count_stored(source, nlp, heads)
            except ValueError as error:
                result.findings.append(Finding("error", f"{split}: {error}"))
    result.findings.extend(find_problems(result, heads))
    return result


def corpora_in_split(reader: Any, split: str) -> Iterator[Source]:
    """The corpora of a split. A plain reader is one corpus, by the split's name."""
    if isinstance(reader, MultiCorpus):
        yield from reader.sources.values()
    else:
        yield Source(split, reader)


def count(part: Part, examples: Iterable[Example], heads: Mapping[str, Head], *, is_train: bool) -> None:
    """Count the examples of a corpus, some at a time."""
    pairs = find_consistent(heads)
    for chunk in map(list, minibatch(examples, CHUNK)):
        check_head_names(heads, chunk)
        part.add(chunk, heads)
        if is_train:
            update_constraints(heads, pairs, HeadViews(chunk))
        else:
            for key, found in find_gold_costs(heads, pairs, HeadViews(chunk)).items():
                part.gold_costs.setdefault(key, GoldCosts()).costs.extend(found.costs)
