"""The weights of a trained pipeline, from which a component with more or other heads begins (`init_from`)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.attrs import NORM
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_model, logger
from spacy.vocab import Vocab
from thinc.api import Model

from ..gold import unannotated
from ..network.listeners import find_listeners, find_upstream
from ..network.parameter_copy import named_arrays
from ..network.run_heads import AllScoresT
from ..network.sharing_heads import changes_nothing, mixes_heads
from ..origin import corpus_of, name_corpus
from ..protocols.arrays import EncoderT, PreparedT
from ..protocols.head import HasHeads, Head
from ..protocols.head_labels import HasLabels
from ..protocols.sharing import SharingInput
from .decoding import Decoding
from .prediction import run_to_predict


class InitialWeights:
    """A trained pipeline, and the component in it that another one begins from."""

    def __init__(self, path: str | Path, nlp: Language, component: str, name: str) -> None:
        """path (str | Path): Where the pipeline comes from, for messages.
        nlp (Language): The trained pipeline.
        component (str): Name of its component.
        name (str): Name of the component that begins from it, for messages.
        """
        self.path = path
        self.nlp = nlp
        self.component = component
        self.name = name
        self.pipe: Any = nlp.get_pipe(component)

    @classmethod
    def of(cls, path: str | Path, name: str) -> "InitialWeights":
        """Load a pipeline.

        name (str): Name of the component that begins from it.
        RAISES ValueError: There is no pipeline, or it has no `multitask` of that name and not one alone.
        """
        where = f"[initialize.components.{name}] init_from"
        try:
            nlp = load_model(path)
        except OSError as error:
            raise ValueError(f"{where} is {str(path)!r}, which is no trained pipeline: {error}") from error
        found = [key for key, pipe in nlp.components if isinstance(pipe, HasHeads)]
        if not found:
            raise ValueError(
                f"{where} is {str(path)!r}, a pipeline without a component multitask; it has {nlp.component_names}"
            )
        if name not in found and len(found) > 1:
            raise ValueError(
                f"{where} is {str(path)!r}, a pipeline with the components {found}; give this one the name of the one "
                "that it begins from"
            )
        return cls(path, nlp, name if name in found else found[0], name)

    def load_heads(self, heads: Mapping[str, Head]) -> set[str]:
        """Load the heads of the same names. They keep their labels in the order of the trained pipeline, and get those
        of the new one that they lack.

        heads (Mapping[str, Head]): The new heads, with the labels that they need, before their networks have a size.
        RAISES ValueError: A head is of another kind or shape.
        RETURNS (set[str]): The names.
        """
        old_heads: Mapping[str, Head] = self.pipe.heads
        loaded = [key for key in heads if key in old_heads]
        for key in loaded:
            self._load_head(key, heads[key], old_heads[key])
        fresh = [key for key in heads if key not in loaded]
        logger.info("component '%s': heads %s from %s, %s start fresh", self.name, loaded, self.path, fresh)
        return set(loaded)

    def _load_head(self, key: str, head: Head, old: Head) -> None:
        if type(head) is not type(old):
            raise ValueError(
                f"head {key!r} is a {type(head).__name__}, but in {self.path} it is a {type(old).__name__}; rename it "
                "here, so that it starts fresh"
            )
        wanted = head.labels if isinstance(head, HasLabels) else ()
        try:
            head.model.from_bytes(old.model.to_bytes())
        except Exception as error:
            raise ValueError(
                f"head {key!r} has another shape than in {self.path}: {error}; give it the settings that it has there, "
                "or rename it here, so that it starts fresh"
            ) from error
        if isinstance(head, HasLabels):
            for label in wanted:
                head.add_label(label)

    def name_in_sharing(self, encoder: EncoderT) -> None:
        """Tell the sharing layer the names of the heads and corpora on which what the old heads see depends."""
        sharing, old = encoder.maybe_get_ref("sharing"), self.pipe.encoder.maybe_get_ref("sharing")
        if sharing is None or old is None or sharing.name != old.name:
            return
        names = old.attrs["heads"] if mixes_heads(encoder) else []
        sharing.attrs["heads"] = [*names, *(key for key in sharing.attrs["heads"] if key not in names)]
        corpora = old.attrs.get("corpora", [])
        sharing.attrs["corpora"] = [*corpora, *(key for key in sharing.attrs["corpora"] if key not in corpora)]

    def load_encoder(self, encoder: EncoderT, nlp: Language | None, docs: list[Doc]) -> None:
        """Load the encoder and the sharing layer. If the component listens to a pipe, that pipe is loaded, unless it
        is sourced or frozen.

        encoder (EncoderT): The new encoder, with its sizes.
        nlp (Language | None): The new pipeline.
        docs (list[Doc]): A few docs of the new pipeline.
        RAISES ValueError: The encoder has another shape, or only one of the two is a listener.
        """
        old: EncoderT = self.pipe.encoder
        here, there = bool(find_listeners(encoder)), bool(find_listeners(old))
        if here != there:
            kinds = {True: "a listener", False: "an encoder of its own"}
            raise ValueError(
                f"component {self.name!r} has {kinds[here]}, but in {self.path} it has {kinds[there]}; init_from needs "
                "the same on both sides"
            )
        if here:
            self._load_upstream(encoder, nlp)
        self._load(encoder.get_ref("encoder"), old.get_ref("encoder"), f"the encoder of component {self.name!r}")
        self._load_sharing(encoder, docs)

    def copies_of(self, docs: Iterable[Doc]) -> list[Doc]:
        """Copy docs for the trained pipeline: the same tokens, without annotation, in its own vocab."""
        return [copy_of(doc, self.nlp.vocab) for doc in docs]

    def run(
        self, docs: list[Doc], names: Sequence[str], *, prepared: Mapping[str, PreparedT] | None = None
    ) -> tuple[Decoding, AllScoresT]:
        """Run heads of the trained pipeline, and those that they need.

        docs (list[Doc]): What `copies_of` returned.
        prepared (Mapping[str, PreparedT] | None): What heads get in the place of what they would prepare.
        RETURNS: What decodes the heads, and their scores.
        """
        for listener in find_listeners(self.pipe.model):
            upstream: Any = self.nlp.get_pipe(find_upstream(listener, self.nlp, self.component))
            upstream.set_annotations(docs, upstream.predict(docs))
        pipe = self.pipe
        return run_to_predict(
            pipe.model, pipe.in_order(), pipe.pairs, docs, names, name=self.component, prepared=prepared
        )

    def main_scores(self, examples: Sequence[Example]) -> dict[str, float | None]:
        """Score the heads of the trained pipeline on gold docs. RETURNS: The main score of each; None without gold."""
        names = self.nlp.pipe_names
        after = names[names.index(self.component) + 1 :]
        docs = self.nlp.pipe(self.copies_of(eg.predicted for eg in examples), disable=after)
        pairs = [Example(doc, eg.reference) for doc, eg in zip(docs, examples, strict=True)]
        return dict(self.pipe.judge(pairs).main)

    def _load_upstream(self, encoder: EncoderT, nlp: Language | None) -> None:
        """Load the pipes that the component listens to. Those that are sourced or frozen are disabled while others are
        initialised.
        """
        for new, old in zip(find_listeners(encoder), find_listeners(self.pipe.encoder), strict=False):
            if nlp is None:
                continue
            upstream = find_upstream(new, nlp, self.name)
            if upstream not in nlp.pipe_names:
                continue
            source: Any = self.nlp.get_pipe(find_upstream(old, self.nlp, self.component))
            self._load(nlp.get_pipe(upstream).model, source.model, f"component {upstream!r}")  # type: ignore[attr-defined]

    def _load_sharing(self, encoder: EncoderT, docs: list[Doc]) -> None:
        sharing, old = encoder.maybe_get_ref("sharing"), self.pipe.encoder.maybe_get_ref("sharing")
        names = [None if layer is None else layer.name for layer in (sharing, old)]
        if names[0] != names[1]:
            if (
                old is None
                and sharing is not None
                and changes_nothing(sharing, SharingInput(docs, encoder.predict(docs)), sharing.attrs["heads"])
            ):
                return
            logger.warning(
                "component '%s': its sharing layer is %s, but in %s it is %s; the heads that are loaded see other "
                "vectors than they were trained on",
                self.name,
                names[0],
                self.path,
                names[1],
            )
            return
        if sharing is None or old is None:
            return
        shapes, old_shapes = shapes_of(sharing), shapes_of(old)
        for place in shapes.keys() & old_shapes.keys():
            check_shape(place, shapes[place], old_shapes[place], f"the sharing layer of {self.name!r}", self.path)
        for node, old_node in zip(sharing.walk(), old.walk(), strict=False):
            for name in node.param_names:
                if old_node.has_param(name):
                    node.set_param(name, old_node.get_param(name).copy())

    def _load(self, model: Model[Any, Any], old: Model[Any, Any], what: str) -> None:
        shapes, old_shapes = shapes_of(model), shapes_of(old)
        for place in sorted(shapes.keys() | old_shapes.keys()):
            check_shape(place, shapes.get(place), old_shapes.get(place), what, self.path)
        try:
            model.from_bytes(old.to_bytes())
        except Exception as error:
            raise ValueError(f"{what} is built in another way than in {self.path}: {error}; {FIX}") from error


FIX = "give it the settings of the trained one, in [components], or leave init_from out"


def shapes_of(model: Model[Any, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's parameters, by layer and name."""
    names = [node.name for node in model.walk()]
    found = ((place.split("/", 1), array) for place, _, array in named_arrays(model))
    return {f"{index}.{names[int(index)]}/{name}": tuple(array.shape) for (index, name), array in found}


def copy_of(doc: Doc, vocab: Vocab) -> Doc:
    """Copy a doc's tokens to another vocab, with the norms that the tokenizer gave them, and the name of its corpus."""
    copied = unannotated(doc, vocab)
    copied.from_array([NORM], doc.to_array([NORM]))  # type: ignore[arg-type]  # as spaCy stores it: uint64
    corpus = corpus_of(doc)
    return copied if corpus is None else name_corpus(copied, corpus)


def check_shape(
    place: str, shape: tuple[int, ...] | None, old: tuple[int, ...] | None, what: str, path: str | Path
) -> None:
    """Raise a ValueError if a parameter has another shape in the trained pipeline, or is only in one of the two."""
    if shape != old:
        here, there = ("no such parameter" if one is None else f"shape {one}" for one in (shape, old))
        raise ValueError(
            f"{what} has another shape than in {path}: layer {place} has {here} here and {there} there; {FIX}"
        )
