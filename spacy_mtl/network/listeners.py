"""The listeners in a component's network."""

import inspect
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model


def find_listeners(model: Model[Any, Any]) -> list[Model[Any, Any]]:
    """Find the layers that take their output from another pipe, such as spaCy's and spacy-transformers' listeners."""
    return [node for node in model.walk() if hasattr(node, "upstream_name")]


def check_listeners(model: Model[Any, Any], nlp: Language, name: str) -> None:
    """Raise a ValueError if there is no pipe before `name` that a listener could listen to, or if their widths differ.
    Disabled pipes count: spaCy disables those that are sourced or frozen while it initialises the others.
    """
    for listener in find_listeners(model):
        upstream = find_upstream(listener, nlp, name)
        pipe: Any = nlp.get_pipe(upstream)
        check_width(listener, pipe.model, name=name, upstream=upstream)


def find_upstream(listener: Model[Any, Any], nlp: Language, name: str) -> str:
    """Get the name of the pipe before `name` that a listener listens to. Raise a ValueError if there is none."""
    names = nlp.component_names
    before = names[: names.index(name)] if name in names else names
    wanted = listener.upstream_name  # type: ignore[attr-defined]
    pipes = [pipe for pipe in before if wanted in ("*", pipe) and hasattr(nlp.get_pipe(pipe), "add_listener")]
    if not pipes:
        raise ValueError(
            f"component {name!r}: its listener has upstream = {wanted!r}, but of the pipes before it, {before}, none "
            "is a tok2vec or transformer of that name; add one before it, or give the model an encoder of its own"
        )
    return pipes[-1]


def check_width(listener: Model[Any, Any], encoder: Model[Any, Any], *, name: str, upstream: str) -> None:
    """Raise a ValueError if both widths are known and differ."""
    expected, found = listener.maybe_get_dim("nO"), encoder.maybe_get_dim("nO")
    if expected and found and expected != found:
        raise ValueError(
            f"component {name!r}: its listener has width {expected}, but {upstream!r} gives vectors of width {found}; "
            f"set width = ${{components.{upstream}.model.width}}"
        )


def check_vectors(model: Model[Any, Any], docs: list[Doc], name: str) -> None:
    """Raise a ValueError if a doc did not pass the pipe that a spaCy listener listens to: it would get zeros."""
    if not any(len(doc) and not doc.tensor.size for doc in docs):
        return
    if any(node.name == "tok2vec-listener" for node in find_listeners(model)):
        raise ValueError(
            f"component {name!r}: a doc has no token vectors, since the pipe its listener listens to did not run; "
            "enable that pipe, or call replace_listeners to give this one an encoder of its own"
        )


def is_last_of_several(listener: Model[Any, Any]) -> bool:
    """Check whether other listeners left gradients that this one must pass on.

    The upstream pipe gives its last listener the function that backpropagates what all listeners have accumulated.
    """
    is_last = getattr(getattr(listener, "_backprop", None), "__name__", "") == "backprop"
    return is_last and len(getattr(upstream_of(listener), "listeners", ())) > 1


def upstream_of(listener: Model[Any, Any]) -> Any | None:
    """Get the pipe that passed its vectors to the listener in this step of the training. None if no pipe did, as when
    that pipe is frozen.

    The closure of the function that takes the gradient is the only link from a listener to its pipe.
    """
    backprop = getattr(listener, "_backprop", None)
    return inspect.getclosurevars(backprop).nonlocals.get("self") if inspect.isfunction(backprop) else None
