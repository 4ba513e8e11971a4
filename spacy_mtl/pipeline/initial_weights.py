"""The weights of a trained pipeline, from which a component with more or other heads begins (`init_from`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import load_model, logger
from thinc.api import Model

from ..network.listeners import find_listeners, find_upstream
from ..network.sharing_heads import mixes_heads
from ..protocols.arrays import EncoderT
from ..protocols.head import HasHeads, Head
from ..protocols.head_labels import HasLabels


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

    def load_encoder(self, encoder: EncoderT, nlp: Language | None) -> None:
        """Load the encoder and the sharing layer. If the component listens to a pipe, that pipe is loaded, unless it
        is sourced or frozen.

        encoder (EncoderT): The new encoder, with its sizes.
        nlp (Language | None): The new pipeline.
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
        self._load_sharing(encoder.maybe_get_ref("sharing"), old.maybe_get_ref("sharing"))

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

    def _load_sharing(self, sharing: Model[Any, Any] | None, old: Model[Any, Any] | None) -> None:
        names = [None if layer is None else layer.name for layer in (sharing, old)]
        if names[0] != names[1]:
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
    return {
        f"{index}.{node.name}/{name}": tuple(node.get_param(name).shape)
        for index, node in enumerate(model.walk())
        for name in node.param_names
        if node.has_param(name)
    }


def check_shape(
    place: str, shape: tuple[int, ...] | None, old: tuple[int, ...] | None, what: str, path: str | Path
) -> None:
    """Raise a ValueError if a parameter has another shape in the trained pipeline, or is only in one of the two."""
    if shape != old:
        here, there = ("no such parameter" if one is None else f"shape {one}" for one in (shape, old))
        raise ValueError(
            f"{what} has another shape than in {path}: layer {place} has {here} here and {there} there; {FIX}"
        )
