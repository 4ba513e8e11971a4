"""Add, remove and rename heads of a component that is part of a pipeline, trained or not."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import logger

from ..network.listeners import find_listeners, find_upstream
from ..network.sharing_heads import mixes_heads, set_sharing_heads
from ..optimizers.parameters import parameter_names
from ..protocols.head import Head
from ..protocols.weighting import KeepsState, LearnsByHead, Weighting
from .checks import check_gold, check_heads, check_overlap
from .consistency import find_consistent, update_constraints
from .head_config import (
    change_config,
    change_groups,
    fill_section,
    head_sections,
    make_part,
    rename_in_section,
    weighting_section,
)
from .head_names import NameChange
from .head_views import HeadViews
from .initialization import fit_gold, initialize_heads, sample_of, set_labels
from .run_order import needed_heads, needs_of, run_order

if TYPE_CHECKING:
    from .multitask import Multitask

GetExamplesT = Callable[[], Iterable[Example]]


def add_head(
    pipe: "Multitask",
    nlp: Language,
    name: str,
    section: Mapping[str, Any],
    *,
    get_examples: GetExamplesT | None = None,
    labels: Sequence[str] | None = None,
) -> None:
    """Add a head. See `Multitask.add_head`."""
    component = find_component(pipe, nlp)
    if name in pipe.heads:
        raise ValueError(
            f"component {component!r}: there is a head {name!r} already; choose another name, or remove that one first"
        )
    if not isinstance(section, Mapping) or "@mtl_heads" not in section:
        raise ValueError(
            f"component {component!r}: head {name!r} is given as {section!r}; expected its section of the config, such "
            'as {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "pos"}, since the pipeline is saved with it'
        )
    filled = fill_section(nlp, section)
    head = make_part(nlp, "head", filled)
    heads = dict(pipe.heads) | {name: head}
    check_heads(heads, component)
    pairs = find_consistent(heads)
    run_order(heads, pairs)
    examples = list(get_examples()) if get_examples is not None else []
    is_trained = bool(pipe.encoder.has_dim("nO"))
    head.name = name
    if is_trained:
        prepare_head(heads, pairs, name, examples, labels, component)
        if mixes_heads(pipe.encoder):
            logger.warning(
                "component '%s': its sharing layer mixes the heads, so that what %s predict changes with the new head "
                "'%s'; train them on",
                component,
                list(pipe.heads),
                name,
            )
    sections = head_sections(nlp, component) | {name: filled}
    with all_or_nothing(pipe, nlp, component):
        replace_heads(pipe, nlp, component, heads, sections, NameChange())
        if is_trained:
            sample = make_sample(pipe, nlp, component, examples)
            initialize_heads(pipe.encoder, pipe.in_order(), pairs, sample, fresh=[name])


def prepare_head(
    heads: Mapping[str, Head],
    pairs: Mapping[str, str],
    name: str,
    examples: Sequence[Example],
    labels: Sequence[str] | None,
    component: str,
) -> None:
    """Set the labels of a new head among others that are trained, and let it measure its gold."""
    new, views = {name: heads[name]}, HeadViews(examples)
    if labels is None and not examples:
        raise ValueError(
            f"component {component!r}: the new head {name!r} needs get_examples, a function that returns examples with "
            "its gold, or labels, since the other heads are trained"
        )
    set_labels(new, views, {} if labels is None else {name: labels}, n_examples=len(examples), name=component)
    check_overlap(heads)
    check_gold(new, views)
    fit_gold(new, views)
    update_constraints(heads, {key: other for key, other in pairs.items() if name in (key, other)}, views)


def make_sample(pipe: "Multitask", nlp: Language, component: str, examples: Sequence[Example]) -> list[Example]:
    """Examples from which a network takes its sizes, with the vectors of the pipes that the component listens to.
    Without gold it is a doc of one word.
    """
    sample = sample_of(examples)
    if not sample:
        sample = [Example(Doc(nlp.vocab, words=["word"]), Doc(nlp.vocab, words=["word"]))]
    for listener in find_listeners(pipe.model):
        upstream: Any = nlp.get_pipe(find_upstream(listener, nlp, component))
        docs = [eg.predicted for eg in sample]
        upstream.set_annotations(docs, upstream.predict(docs))
    return sample


def remove_heads(pipe: "Multitask", nlp: Language, names: Iterable[str]) -> None:
    """Remove heads. See `Multitask.remove_head`."""
    component, names = find_component(pipe, nlp), list(names)
    check_exist(pipe, component, names)
    kept = {key: head for key, head in pipe.heads.items() if key not in names}
    if not kept:
        raise ValueError(
            f"component {component!r}: {list(names)} are all its heads; remove the component with "
            f"nlp.remove_pipe({component!r}) instead"
        )
    for key in kept:
        needed = sorted(needed_heads(pipe.heads, pipe.pairs, [key]) & set(names))
        if needed:
            raise ValueError(
                f"component {component!r}: head {needed[0]!r} can't be removed, since head {key!r} needs it "
                f"(condition_on, depends_on or consistent_with); remove {key!r} too, or first"
            )
    sections = {key: section for key, section in head_sections(nlp, component).items() if key in kept}
    with all_or_nothing(pipe, nlp, component):
        replace_heads(pipe, nlp, component, kept, sections, NameChange(removed=names))


def rename_head(pipe: "Multitask", nlp: Language, old: str, new: str) -> None:
    """Rename a head. See `Multitask.rename_head`."""
    component = find_component(pipe, nlp)
    check_exist(pipe, component, [old])
    if new in pipe.heads:
        raise ValueError(f"component {component!r}: there is a head {new!r} already; choose another name for {old!r}")
    change = NameChange(renamed={old: new})
    old_sections = head_sections(nlp, component)
    sections = {
        change.of(key): rename_in_section(section, change, names_it=old in named_by(pipe, key))
        for key, section in old_sections.items()
    }
    heads: dict[str, Head] = {}
    for key, head in pipe.heads.items():
        if sections[change.of(key)] != old_sections[key]:
            head = rebuilt(head, make_part(nlp, "head", sections[key]))
        heads[change.of(key)] = head
    check_heads(heads, component)
    with all_or_nothing(pipe, nlp, component):
        replace_heads(pipe, nlp, component, heads, sections, change)


def named_by(pipe: "Multitask", key: str) -> set[str]:
    """The heads that a head names, and those that they are decoded with."""
    joint = {pipe.pairs[key]} if key in pipe.pairs else set()
    return needs_of(pipe.heads, pipe.pairs, key) | joint


def rebuilt(head: Head, new: Head) -> Head:
    """Give a head that was built with other settings the weights of the one before."""
    new.model.from_bytes(head.model.to_bytes())
    return new


def replace_heads(
    pipe: "Multitask",
    nlp: Language,
    component: str,
    heads: Mapping[str, Head],
    sections: Mapping[str, Any],
    change: NameChange,
) -> None:
    """Change heads, weighting, sharing layer and network of a component, and the pipeline's config."""
    weights = weighting_section(nlp, component, change, heads)
    weighting = make_part(nlp, "weighting", weights)
    old_heads, before = dict(pipe.heads), parameter_names(nlp)
    set_sharing_heads(pipe.encoder, list(heads), renamed=change.renamed)
    pipe.set_heads(heads, weighting_with_state(pipe.weighting, weighting, list(heads), change))
    for key in ("heads", "n_skipped"):
        if key in pipe.cfg:
            pipe.cfg[key] = change.within(pipe.cfg[key])
    pipe.cfg["heads"] = {key: pipe.cfg["heads"].get(key, {}) for key in heads}
    change_config(nlp, component, sections=sections, weighting=weights, heads=old_heads, change=change)
    change_groups(nlp, before, change)


def weighting_with_state(old: Weighting, new: Weighting, heads: Sequence[str], change: NameChange) -> Weighting:
    """Give a new weighting what an old one has learned of the heads that stay."""
    new.bind(heads)
    if isinstance(old, LearnsByHead) and isinstance(new, LearnsByHead):
        for key, layer in old.layers.items():
            if change.of(key) in new.layers and key not in change.removed:
                new.layers[change.of(key)].from_bytes(layer.to_bytes())
    elif old.model is not None and new.model is not None:
        new.model.from_bytes(old.model.to_bytes())
    if isinstance(old, KeepsState) and isinstance(new, KeepsState):
        new.set_state({key: change.within(value) for key, value in old.get_state().items()})
    return new


@contextmanager
def all_or_nothing(pipe: "Multitask", nlp: Language, component: str) -> Iterator[None]:
    """Leave the heads and their sections as they were if the change fails."""
    heads, weighting, sharing = dict(pipe.heads), pipe.weighting, pipe.encoder.maybe_get_ref("sharing")
    config = nlp.get_pipe_config(component)
    sections = {key: deepcopy(config.get(key)) for key in ("heads", "weighting")}
    try:
        yield
    except BaseException:
        changed = pipe.encoder.maybe_get_ref("sharing")
        if sharing is not None and changed is not None and changed is not sharing:
            pipe.encoder.replace_node(changed, sharing)
        pipe.set_heads(heads, weighting)
        config.update(sections)
        raise


def find_component(pipe: "Multitask", nlp: Language) -> str:
    """The name that a component has in a pipeline, whose config is to change with it."""
    for name, other in nlp.components:
        if other is pipe:
            return str(name)
    raise ValueError(
        f"component {pipe.name!r} is not part of the pipeline that was given as nlp, {nlp.component_names}; give the "
        "pipeline that it is in, whose config changes with it"
    )


def check_exist(pipe: "Multitask", component: str, names: Iterable[str]) -> None:
    """Raise a ValueError if a head does not exist."""
    unknown = [name for name in names if name not in pipe.heads]
    if unknown:
        raise ValueError(f"component {component!r}: there is no head {unknown[0]!r}; the heads are {list(pipe.heads)}")
