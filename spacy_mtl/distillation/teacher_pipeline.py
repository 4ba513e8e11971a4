"""A trained pipeline that teaches: its pipes that a student's heads learn from, and its answers to docs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.pipeline import Tagger, TextCategorizer
from spacy.tokens import Doc
from spacy.training import Alignment
from spacy.util import get_package_path, is_package, load_model

from ..experiments.data_digest import digest
from ..gold import unannotated
from ..pipeline.multitask import Multitask
from ..protocols.head import Head
from ..protocols.head_confidence import SelfLabelling
from ..protocols.soft_targets import SoftTarget
from ..readers.target_shard import Answers, TargetForm
from .answer_source import Source
from .distil_settings import TeacherName
from .doc_annotation import carry_over, copy_annotation
from .multitask_source import MultitaskSource
from .native_sources import CatsSource, LabelsSource, TokensSource, copier_of

BATCH_SIZE = 128


class Teacher:
    """A teacher's pipeline.

    path (str): Where it is. nlp (Language): The pipeline. sources (dict[str, Source]): By the name of the pipe.
    heads (list[str]): The student's heads that it teaches, in the order of the sources' answers.
    """

    def __init__(
        self, path: str, names: Sequence[TeacherName], heads: Mapping[str, Head], *, temperature: float, top: int
    ) -> None:
        """names (Sequence[TeacherName]): What it teaches. heads (Mapping[str, Head]): The student's heads.

        RAISES ValueError: It can't be loaded, or it can't teach one of these heads.
        """
        self.path = path
        try:
            self.nlp = load_model(path)
        except OSError as error:
            raise ValueError(f"--teacher {names[0].head}={path}: {error}") from error
        self.sources: dict[str, Source] = {}
        chosen: dict[str, dict[str, str]] = {}
        for name in names:
            pipe, source = find_source(self.nlp, name, heads[name.head])
            chosen.setdefault(pipe, {})[name.head] = source
        for pipe_name, _ in self.nlp.pipeline:
            if pipe_name in chosen:
                self.sources[pipe_name] = make_source(
                    self.nlp, pipe_name, chosen[pipe_name], heads, temperature=temperature, top=top
                )
        self.heads = [head for source in self.sources.values() for head in source.forms]

    @property
    def forms(self) -> dict[str, TargetForm | None]:
        """The form of the soft targets of each head."""
        return {head: form for source in self.sources.values() for head, form in source.forms.items()}

    def labels(self, head: str) -> list[str]:
        """The labels that it may predict for a head."""
        return next(source.labels(head) for source in self.sources.values() if head in source.forms)

    def answer(self, docs: Sequence[Doc], student: Language) -> tuple[dict[str, Answers], dict[str, int]]:
        """Annotate docs.

        docs (Sequence[Doc]): Docs in the student's tokens.
        student (Language): The student's pipeline.
        RETURNS: the answers in the student's tokens by head, and how many entities and values were dropped there.
        """
        own = [tokens_for(self.nlp, doc, student) for doc in docs]
        given: dict[str, Answers] = {}
        passing: list[Doc] = own
        last = list(self.sources)[-1]
        for name, pipe in self.nlp.pipeline:
            if name in self.sources:
                given |= self.sources[name].answer(passing)
            else:
                passing = run_pipe(pipe, passing)
            if name == last:
                break
        dropped: dict[str, int] = {}
        for head, answers in given.items():
            given[head], dropped[head] = in_tokens_of(docs, answers)
        return given, dropped


def run_pipe(pipe: Any, docs: list[Doc]) -> list[Doc]:
    """Let a component annotate docs."""
    return list(pipe.pipe(docs)) if hasattr(pipe, "pipe") else [pipe(doc) for doc in docs]


def digest_of(path: str) -> str:
    """The SHA-256 of a pipeline's files. Raises a ValueError if there is none."""
    folder = Path(path)
    if not folder.exists() and is_package(path):
        folder = get_package_path(path)
    if not folder.is_dir():
        raise ValueError(f"teacher {path}: there is no such folder or installed package")
    return digest(folder)


def tokens_for(teacher: Language, doc: Doc, student: Language) -> Doc:
    """The doc for the teacher: in the teacher's own tokens if the student's tokenizer has split the text, and in the
    given tokens if these come from the file.
    """
    words = [token.text for token in doc]
    if not doc.has_unknown_spaces:
        own = teacher.make_doc(doc.text)
        mine = [token.text for token in own]
        if mine == words or [token.text for token in student.make_doc(doc.text)] == words:
            return own
    return unannotated(doc, teacher.vocab)


def in_tokens_of(docs: Sequence[Doc], answers: Answers) -> tuple[Answers, int]:
    """Write the answers to docs with the student's tokens. RETURNS: these, and what was dropped."""
    n_dropped = 0
    copies: list[Doc] = []
    targets: list[SoftTarget | None] = []
    for doc, annotated, target in zip(docs, answers.docs, answers.targets, strict=True):
        copy = unannotated(doc, doc.vocab)
        if [token.text for token in doc] == [token.text for token in annotated]:
            copy_annotation(annotated, copy)
            targets.append(target)
        else:
            n_dropped += carry_over(annotated, copy)
            targets.append(None if target is None else aligned_target(target, annotated, doc))
        copies.append(copy)
    return Answers(copies, answers.confidences, targets), n_dropped


def aligned_target(target: SoftTarget, theirs: Doc, mine: Doc) -> SoftTarget | None:
    """A target for other tokens: that of the doc's classes; the rows of tokens that are the same in both; none of tags
    in a sequence, which would be another one.
    """
    if target.kind == "chain":
        return None
    if target.kind != "tokens":
        return target
    alignment = Alignment.from_strings([token.text for token in theirs], [token.text for token in mine])
    columns = np.zeros((len(mine), target.columns.shape[1]), dtype="int64")
    values = np.zeros((len(mine), target.values.shape[1]), dtype="float32")
    for row in range(len(theirs)):
        index = alignment.x2y[row]
        if len(index) == 1 and len(alignment.y2x[int(index[0])]) == 1:
            columns[int(index[0])], values[int(index[0])] = target.columns[row], target.values[row]
    return SoftTarget(target.kind, target.labels, target.temperature, columns, values)


def find_source(nlp: Language, name: TeacherName, head: Head) -> tuple[str, str]:
    """Find what teaches a head of the student. RETURNS: the name of the pipe, and of its head or attribute.

    RAISES ValueError: There is nothing of this name, or nothing that gives the head's annotation.
    """
    wanted = name.source or name.head
    option = f"--teacher {name.head}={name.path}"
    heads = {key: (pipe_name, one) for pipe_name, pipe in multitasks(nlp) for key, one in pipe.heads.items()}
    if wanted in heads and (name.source or wanted not in nlp.pipe_names):
        pipe_name, theirs = heads[wanted]
        if places_of(theirs).isdisjoint(places_of(head)) or not isinstance(theirs, SelfLabelling):
            raise ValueError(
                f"{option}: the teacher's head {wanted!r} ({type(theirs).__name__}) gives {sorted(places_of(theirs))}, "
                f"which head {name.head!r} ({type(head).__name__}) can't learn from: it reads {sorted(places_of(head))}"
            )
        return pipe_name, wanted
    places = places_of(head)
    able = {pipe_name: sorted(places & assigned(nlp, pipe_name)) for pipe_name in nlp.pipe_names}
    able = {pipe_name: found for pipe_name, found in able.items() if found}
    if name.source:
        if name.source not in able:
            raise ValueError(
                f"{option}:{name.source}: the teacher has no head or pipe {name.source!r} that gives {sorted(places)}; "
                f"its heads are {list(heads)}, its pipes {nlp.pipe_names}"
            )
        return name.source, able[name.source][0]
    if not able:
        raise ValueError(
            f"{option}: the teacher has no head {name.head!r} and no pipe that gives {sorted(places)}; its heads are "
            f"{list(heads)}, its pipes {nlp.pipe_names}; name one: --teacher {name.head}={name.path}:NAME"
        )
    pipe_name = list(able)[-1]
    return pipe_name, able[pipe_name][0]


def multitasks(nlp: Language) -> Iterable[tuple[str, Multitask]]:
    """The components with heads."""
    return ((name, pipe) for name, pipe in nlp.pipeline if isinstance(pipe, Multitask))


def places_of(head: Head) -> set[str]:
    """Where a head finds its gold, without keys: {"doc.spans"}."""
    return {place.partition("[")[0].replace("is_sent_start", "sent_start") for place in head.gold_attributes}


def assigned(nlp: Language, name: str) -> set[str]:
    """What a pipe of spaCy writes. A component with heads is asked for its heads instead."""
    if isinstance(nlp.get_pipe(name), Multitask):
        return set()
    return {place.replace("is_sent_start", "sent_start") for place in nlp.get_pipe_meta(name).assigns}


def make_source(
    nlp: Language, name: str, chosen: Mapping[str, str], heads: Mapping[str, Head], *, temperature: float, top: int
) -> Source:
    """Build what asks a pipe.

    chosen (Mapping[str, str]): The pipe's head, or the attribute that it writes, for each head of the student.
    """
    pipe: Any = nlp.get_pipe(name)
    if isinstance(pipe, Multitask):
        return MultitaskSource(pipe, chosen, temperature=temperature, top=top)
    if isinstance(pipe, TextCategorizer):
        return CatsSource(name, pipe, list(chosen), temperature=temperature)
    if isinstance(pipe, Tagger):
        attributes = {head: place.removeprefix("token.") for head, place in chosen.items()}
        return TokensSource(name, pipe, attributes, temperature=temperature, top=top)
    return LabelsSource(name, pipe, {head: copier_of(heads[head], place) for head, place in chosen.items()})
