"""Read several corpora as one: each with its own labels, drawn in the proportions of a sampler."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.util import logger

from ..origin import corpus_of
from ..protocols.head import HasHeads
from ..protocols.label_cover import hold_cover
from ..protocols.sampler import Sampler, SamplingState
from .shuffle import shuffled
from .source import Source, make_source
from .survey import Survey, survey
from .training_progress import READER, is_being_initialized, max_epochs, repeats_one_pass, scores_of

# The number of examples with which spaCy initialises a pipeline from a stream.
N_SPACY_SAMPLE = 100


def make_multi_corpus_v1(
    corpora: dict[str, Any],
    sampler: Any = None,
    seed: int = 0,
    buffer_size: int = 2000,
    epoch_size: int | None = None,
    read_first: bool = True,
) -> "MultiCorpus":
    """Build a reader of several corpora, each with its own labels. A sampler sets the proportions; the reader draws
    from them with its own seed.

    corpora (dict[str, dict]): Sections by the name of the corpus.
        reader (Callable[[Language], Iterable[Example]]): Any spaCy reader.
        heads (list[str] | None): Names of the heads that learn from the corpus and are scored on it. Null is all.
        weight (float): Factor of the corpus's share in the draw, by default 1.0.
        limit (int): Maximum number of examples; 0, the default, for all.
        label_map (dict[str, str | None] | list[list]): New names of labels, by the old ones; null drops a label, whose
            annotation is then missing. For entities, spans, `cats` and tags. Labels with `=` need a list of pairs:
            `[["genre=email", "email"]]`.
        augmenter (Callable[[Language, Example], Iterable[Example]]): A spaCy augmenter.
        only_gold (bool): Leave out docs without gold of a head that learns from the corpus, by default false.
    sampler (Sampler | None): Sets the proportions, from the registry `mtl_samplers`. Null reads one corpus after the
        other, as dev and test sets need.
    seed (int): Seed of the draw and of the shuffling.
    buffer_size (int): Number of examples of each corpus held in memory to shuffle it; 0 keeps the order of the corpus.
    epoch_size (int | None): Number of examples in a pass. Null takes as many as the corpora have together; if they were
        not counted, a pass ends when each corpus has ended.
    read_first (bool): Read all corpora once before the first example. This finds broken files and empty corpora, counts
        docs for the sampler, and finds examples of all labels, with which a stream is initialised. With a fixed number
        of epochs it is always done, and without a sampler never.
    """
    if not corpora:
        raise ValueError(f"{READER}: it has no corpora; add at least one section corpora.NAME with a reader")
    if sampler is not None and not isinstance(sampler, Sampler):
        raise ValueError(f"{READER}: sampler is {sampler!r}, which is no sampler; use @mtl_samplers")
    if epoch_size is not None and epoch_size < 1:
        raise ValueError(f"{READER}: epoch_size is {epoch_size}; it must be at least 1, or null for all examples")
    if buffer_size < 0:
        raise ValueError(f"{READER}: buffer_size is {buffer_size}; it must be at least 0")
    sources = [make_source(name, settings) for name, settings in corpora.items()]
    return MultiCorpus(
        sources, sampler, seed=seed, buffer_size=buffer_size, epoch_size=epoch_size, read_first=read_first
    )


class MultiCorpus:
    """The reader. Each call is a pass. In the next pass a corpus continues where it stopped in this one. It starts
    again only at its end, so no doc comes twice before all docs of its corpus have come once.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        sampler: Sampler | None,
        *,
        seed: int,
        buffer_size: int,
        epoch_size: int | None,
        read_first: bool,
    ) -> None:
        self.sources = {source.name: source for source in sources}
        self.sampler = sampler
        self.seed = seed
        self.buffer_size = buffer_size
        self.epoch_size = epoch_size
        self.read_first = read_first
        self.n_passes = 0
        self._survey: Survey | None = None
        self._sizes: dict[str, int | None] = dict.fromkeys(self.sources)
        self._rng = random.Random(seed)
        self._streams: dict[str, Iterator[Example | None]] = {}
        self._drawn = dict.fromkeys(self.sources, 0)
        self._nlp: Language | None = None

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of a pass; while the pipeline is being initialised, all examples, new labels first.

        `nlp.meta["spacy_mtl"]["mix"]`, which is saved with the model, counts the docs drawn in all passes. The counts
        of a pass are logged when it ends.
        """
        if self.sampler is None:
            yield from self._one_after_another(nlp)
            return
        if self._survey is None and (self.read_first or repeats_one_pass(nlp)):
            self._survey = survey(self.sources.values(), nlp)
            self._sizes.update(self._survey.sizes)
            nlp.meta.setdefault("spacy_mtl", {})["corpus_sizes"] = dict(self._survey.sizes)
        if is_being_initialized(nlp):
            yield from self._for_initialization(nlp)
            return
        self._check_epochs(nlp, self.sampler)
        yield from self._draw(nlp, self.sampler)

    def _one_after_another(self, nlp: Language) -> Iterator[Example]:
        for source in self.sources.values():
            yield from source(nlp)

    def _for_initialization(self, nlp: Language) -> Iterator[Example]:
        cover = one_of_each_first(self._first_of_each(nlp) if self._survey is None else self._survey.cover)
        hold_cover(nlp, cover)
        others = with_labels_of_their_own(nlp)
        if max_epochs(nlp) == -1 and len(cover) > N_SPACY_SAMPLE and others:
            logger.warning(
                "%s: the labels of all corpora are spread over %d docs, but spaCy initialises a stream from %d, so the "
                "components %s may not see all of them. Write them to a file with: spacy init labels CONFIG DIR "
                "--training.max_epochs 0, and set initialize.components.NAME.labels",
                READER,
                len(cover),
                N_SPACY_SAMPLE,
                others,
            )
        yield from cover
        yield from self._one_after_another(nlp)

    def _first_of_each(self, nlp: Language) -> list[Example]:
        return [next(iter(source(nlp))) for source in self.sources.values()]

    def _draw(self, nlp: Language, sampler: Sampler) -> Iterator[Example]:
        if nlp is not self._nlp:
            self._nlp, self._streams = nlp, {}
        self.n_passes += 1
        state = self._make_state()
        nlp.meta.setdefault("spacy_mtl", {})["mix"] = self._drawn
        names = list(self.sources)
        while not self._is_over(state):
            if sampler.changes:
                state.scores = scores_of(nlp, self.sources)
            chances = sampler.probabilities(state)
            name = self._rng.choices(names, [chances[name] for name in names])[0]
            eg = self._next(name, nlp, state)
            if eg is not None:
                state.drawn[name] += 1
                state.total += 1
                self._drawn[name] += 1
                yield eg
        logger.info("%s, pass %d: %s", READER, self.n_passes, describe(state.drawn))

    def _make_state(self) -> SamplingState:
        known = [size for size in self._sizes.values() if size is not None]
        epoch_size = sum(known) if self.epoch_size is None and len(known) == len(self._sizes) else self.epoch_size
        return SamplingState(
            weights={name: source.weight for name, source in self.sources.items()},
            sizes=self._sizes,
            drawn=dict.fromkeys(self.sources, 0),
            total=sum(self._drawn.values()),
            epoch_size=epoch_size,
        )

    def _is_over(self, state: SamplingState) -> bool:
        if state.epoch_size is None:
            return len(state.ended) == len(self.sources)
        return sum(state.drawn.values()) >= state.epoch_size

    def _next(self, name: str, nlp: Language, state: SamplingState) -> Example | None:
        """Return the corpus's next example, or None at its end if the sampler may then choose another corpus."""
        if name not in self._streams:
            self._streams[name] = self._stream(self.sources[name], nlp)
        eg = next(self._streams[name])
        if eg is None:
            state.ended.add(name)
            return None if state.epoch_size is None else next(self._streams[name])
        return eg

    def _stream(self, source: Source, nlp: Language) -> Iterator[Example | None]:
        """Yield the corpus again and again, each time in another order, and None after each time."""
        rng = random.Random(f"{self.seed}/{source.name}")
        while True:
            count = 0
            for eg in shuffled(source(nlp), self.buffer_size, rng):
                count += 1
                yield eg
            self._sizes[source.name] = count
            yield None

    def _check_epochs(self, nlp: Language, sampler: Sampler) -> None:
        """Check the sampler against a fixed number of epochs, for which spaCy lists one pass and repeats it. Refuse a
        sampler whose proportions change, and warn if docs are left out or come twice.
        """
        if not repeats_one_pass(nlp):
            return
        name = type(sampler).__name__
        if sampler.changes:
            raise ValueError(
                f"{READER}: the proportions of the sampler {name} move in the course of the training, but with "
                f"training.max_epochs = {max_epochs(nlp)} spaCy draws once and repeats this draw in each epoch; set "
                "training.max_epochs = -1, and training.max_steps"
            )
        if not self._draws_each_once(sampler):
            logger.warning(
                "%s: with training.max_epochs = %d spaCy draws once, and each epoch repeats the same docs: those that "
                "%s leaves out are never learned from. Set training.max_epochs = -1, and training.max_steps, to draw "
                "anew in each pass",
                READER,
                max_epochs(nlp),
                name,
            )

    def _draws_each_once(self, sampler: Sampler) -> bool:
        """Whether a pass has each doc exactly once."""
        state = self._make_state()
        if len(self.sources) == 1 and self.epoch_size is None:
            return True
        sizes = {name: state.size_of(name) for name in state.weights}
        chances = sampler.probabilities(state)
        exact = all(abs(chances[name] - sizes[name]) < 1e-3 for name in sizes)
        return exact and state.epoch_size == sum(sizes.values())


def one_of_each_first(examples: Sequence[Example]) -> list[Example]:
    """The examples, the first of each corpus before the others: what looks at a few docs then knows all corpora."""
    first = {corpus_of(eg.reference): eg for eg in reversed(examples)}
    chosen = {id(eg) for eg in first.values()}
    return [*reversed(first.values()), *(eg for eg in examples if id(eg) not in chosen)]


def with_labels_of_their_own(nlp: Language) -> list[str]:
    """The components whose labels spaCy collects from its sample alone."""
    found = ((name, getattr(pipe, "label_data", None)) for name, pipe in nlp.pipeline if not isinstance(pipe, HasHeads))
    return [name for name, labels in found if labels is not None]


def describe(drawn: Mapping[str, int]) -> str:
    """The shares that were drawn, in words."""
    total = max(sum(drawn.values()), 1)
    return ", ".join(f"{name} {count} ({100 * count / total:.1f} %)" for name, count in drawn.items())
