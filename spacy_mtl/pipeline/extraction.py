"""Build a pipeline with some of a component's heads, which predicts exactly the same."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import load_model, load_model_from_config, logger

from ..network.listeners import find_listeners, find_upstream
from ..protocols.head import HasHeads
from ..whole_folder import check_writable, write_whole
from .head_changes import check_exist, remove_heads
from .head_config import drop_pipes_from_config
from .run_order import needed_heads


def extract(nlp: Language, names: Iterable[str], *, component: str | None = None, keep: Iterable[str] = ()) -> Language:
    """Build a pipeline with some heads, those that they need, and the pipes that the component listens to. All others
    are dropped, which is logged.

    nlp (Language): The pipeline, which stays as it is.
    names (Iterable[str]): The heads.
    component (str | None): The component that they belong to; can be left out if the pipeline has one with heads.
    keep (Iterable[str]): Other components to keep.
    RAISES ValueError: A component or a head does not exist, or no head is named.
    """
    component, names = find_with_heads(nlp, component), list(names)
    pipe: Any = nlp.get_pipe(component)
    if not names:
        raise ValueError(f"component {component!r}: name at least one head to extract; it has {list(pipe.heads)}")
    check_exist(pipe, component, names)
    needed = needed_heads(pipe.heads, pipe.pairs, names)
    upstream = {find_upstream(listener, nlp, component) for listener in find_listeners(pipe.model)}
    kept = kept_pipes(nlp, {component, *upstream}, list(keep))
    dropped = [name for name in nlp.component_names if name not in kept]
    copied = copy_pipeline(nlp, dropped)
    removed = [key for key in pipe.heads if key not in needed]
    if removed:
        remove_heads(copied.get_pipe(component), copied, removed)  # type: ignore[arg-type]
    drop_pipes_from_config(copied, dropped)
    logger.info("Heads %s of %s; without heads %s and components %s", sorted(needed), component, removed, dropped)
    return copied


def extract_to_disk(
    model: str | Path,
    output: Path,
    names: Iterable[str],
    *,
    component: str | None = None,
    keep: Iterable[str] = (),
    replace: bool = False,
) -> tuple[Language, Language]:
    """Extract heads of a saved pipeline, and save the result, all of it or nothing.

    model (str | Path): Folder of the pipeline, or the name of an installed one.
    output (Path): Folder that is new or empty.
    replace (bool): Replace a pipeline that is there.
    RETURNS (tuple[Language, Language]): The whole pipeline and the extracted one.
    """
    check_writable(output, replace=replace)
    nlp = load_model(model)
    extracted = extract(nlp, names, component=component, keep=keep)
    write_whole(extracted, output)
    return nlp, extracted


def find_with_heads(nlp: Language, component: str | None) -> str:
    """The name of the component with heads. Raises a ValueError if there is none, or several and none is named."""
    found = [name for name, pipe in nlp.components if isinstance(pipe, HasHeads)]
    if component is not None and component not in found:
        raise ValueError(f"there is no component {component!r} with heads; the pipeline has {found or 'none'}")
    if component is None and len(found) != 1:
        raise ValueError(
            f"the pipeline has {len(found)} components with heads, {found}; "
            + ("name one of them with --component" if found else f"its components are {nlp.component_names}")
        )
    return component or found[0]


def kept_pipes(nlp: Language, needed: set[str], keep: list[str]) -> set[str]:
    """The components to keep, with the pipes that those listen to which are kept on top."""
    unknown = [name for name in keep if name not in nlp.component_names]
    if unknown:
        raise ValueError(f"there is no component {unknown[0]!r} to keep; the pipeline has {nlp.component_names}")
    for name in keep:
        model = getattr(nlp.get_pipe(name), "model", None)
        listeners = [] if model is None or isinstance(model, bool) else find_listeners(model)
        needed = needed | {name} | {find_upstream(listener, nlp, name) for listener in listeners}
    return needed


def copy_pipeline(nlp: Language, dropped: list[str]) -> Language:
    """Build the pipeline anew without some components, with all weights and in the same state."""
    copied = load_model_from_config(nlp.config.copy(), auto_fill=True, exclude=dropped, meta=dict(nlp.meta))
    copied.from_bytes(nlp.to_bytes(exclude=dropped), exclude=dropped)
    for name in nlp.disabled:
        if name in copied.component_names:
            copied.disable_pipe(name)
    return copied
