"""Merge the heads of two pipelines that share an encoder's weights into one, which predicts exactly the same."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_model, logger
from spacy.vectors import Vectors
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.backends import get_array_ops
from thinc.types import Ragged

from ..network.listeners import find_listeners, find_upstream
from ..network.parameter_copy import named_arrays
from ..network.sharing_heads import changes_nothing, mixes_heads
from ..protocols.arrays import ArrayT
from ..protocols.head import Head
from ..protocols.head_calibration import ATTR as CALIBRATION
from ..protocols.sharing import SharingInput, SharingT
from ..whole_folder import check_writable, write_whole
from .checks import check_heads, check_overlap
from .extraction import copy_pipeline, find_with_heads
from .forgetting import OLD_HEADS
from .head_changes import check_exist, rebuilt, replace_heads
from .head_config import head_sections, make_part
from .head_names import JOINT_SCORES, NameChange, owner_of
from .run_order import needed_heads

FIX = (
    "merge pipelines that were trained from the same one with its encoder frozen; otherwise train one with all heads "
    "from either of them (init_from)"
)
# Tokens of a doc with random vectors.
N_RANDOM = 16
# What both encoders read, as a check: names, numbers, rare words and signs.
TEXT = "Anna won't pay $12.50 for 3 tickets to São Paulo on 2024-05-01; see https://example.com (it's \u201codd\u201d)."


def merge(
    nlp: Language,
    other: Language,
    names: Iterable[str] | None = None,
    *,
    component: str | None = None,
    other_component: str | None = None,
) -> Language:
    """Build a pipeline with the components of the first one, and with heads of both. All of these heads predict exactly
    what they did.

    nlp (Language): The first pipeline. Both stay as they are.
    other (Language): The second pipeline, whose encoder has the same weights.
    names (Iterable[str] | None): Heads of the second one; those that they need come along. None takes all.
    component (str | None): The component with the heads; can be left out if there is one.
    other_component (str | None): The same in the second pipeline.
    RAISES ValueError: The encoders, vectors or tokenizers differ; two heads have one name and differ, or write the
        same; or there is no such head.
    """
    component, theirs = find_with_heads(nlp, component), find_with_heads(other, other_component)
    first: Any = nlp.get_pipe(component)
    second: Any = other.get_pipe(theirs)
    chosen = list(second.heads) if names is None else list(names)
    check_exist(second, theirs, chosen)
    needed = needed_heads(second.heads, second.pairs, chosen)
    check_same_texts(nlp, other)
    check_same_encoder(nlp, other, component, theirs)
    sections, their_sections = head_sections(nlp, component), head_sections(other, theirs)
    added = [key for key in second.heads if key in needed]
    for key in [key for key in added if key in first.heads]:
        if sections[key] != their_sections[key] or not same_head(first, second, key):
            raise ValueError(
                f"both pipelines have a head {key!r}, and these differ; rename one of them first: "
                f"python -m spacy mtl heads rename MODEL {key} NEW_NAME --output RENAMED"
            )
        added.remove(key)
    merged = copy_pipeline(nlp, [])
    weights = weights_of(nlp, other, component, theirs, added)
    add_heads(merged, component, {key: second.heads[key] for key in added}, their_sections, weights)
    copy_sharing(merged.get_pipe(component), second, added)
    describe(merged, other, component, theirs, added)
    for string in other.vocab.strings:
        merged.vocab.strings.add(string)
    dropped = [name for name in other.component_names if name != theirs and name not in nlp.component_names]
    logger.info("Heads %s were added to %s; components %s of the second pipeline were not", added, component, dropped)
    return merged


def merge_to_disk(
    model: str | Path,
    other: str | Path,
    output: Path,
    names: Iterable[str] | None = None,
    *,
    component: str | None = None,
    other_component: str | None = None,
    replace: bool = False,
) -> Language:
    """Merge two saved pipelines, and save the result, all of it or nothing.

    output (Path): Folder that is new or empty.
    replace (bool): Replace a pipeline that is there.
    """
    check_writable(output, replace=replace)
    merged = merge(load_model(model), load_model(other), names, component=component, other_component=other_component)
    write_whole(merged, output)
    return merged


def check_same_texts(nlp: Language, other: Language) -> None:
    """Raise a ValueError if a text can have other tokens, or a word another vector, in the second pipeline."""
    tokenizers = [getattr(one.tokenizer, "to_bytes", None) for one in (nlp, other)]
    tokens = [None if to_bytes is None else to_bytes(exclude=["vocab"]) for to_bytes in tokenizers]
    if nlp.lang != other.lang or type(nlp.tokenizer) is not type(other.tokenizer) or tokens[0] != tokens[1]:
        raise ValueError(
            f"the tokenizers differ (languages {nlp.lang!r} and {other.lang!r}), so heads would see other tokens; {FIX}"
        )
    if not same_vectors(nlp.vocab.vectors, other.vocab.vectors):
        raise ValueError(f"the word vectors differ, {nlp.vocab.vectors.shape} and {other.vocab.vectors.shape}; {FIX}")


def same_vectors(one: Vectors, other: Vectors) -> bool:
    """Whether each word has the same vector in both tables."""
    if one.shape != other.shape or one.mode != other.mode:
        return False
    ops = get_array_ops(one.data)
    return one.key2row == other.key2row and np.array_equal(ops.to_numpy(one.data), ops.to_numpy(other.data))


def check_same_encoder(nlp: Language, other: Language, component: str, theirs: str) -> None:
    """Raise a ValueError if the shared vectors can differ: the encoders, those that they listen to, or what all heads
    have in common in the sharing layer.
    """
    encoders: list[Any] = [nlp.get_pipe(component).encoder, other.get_pipe(theirs).encoder]  # type: ignore[attr-defined]
    listeners = [find_listeners(encoder) for encoder in encoders]
    if len(listeners[0]) != len(listeners[1]):
        raise ValueError("one of the two components listens to a pipe, and the other has an encoder of its own; " + FIX)
    for mine, its in zip(*listeners, strict=True):
        upstream, its_upstream = find_upstream(mine, nlp, component), find_upstream(its, other, theirs)
        models = (nlp.get_pipe(upstream).model, other.get_pipe(its_upstream).model)  # type: ignore[attr-defined]
        check_same(models[0], models[1], f"component {upstream!r}")
    mine, its = (encoder.get_ref("encoder") for encoder in encoders)
    check_same(mine, its, f"the encoder of component {component!r}")
    check_same_vectors(nlp, other, component, theirs)
    if any(mixes_heads(encoder) for encoder in encoders):
        raise ValueError(
            f"the sharing layer of component {component!r} mixes heads, so that new ones would change what the others "
            "see; train one pipeline with all heads (init_from)"
        )


def check_same_vectors(nlp: Language, other: Language, component: str, theirs: str) -> None:
    """Raise a ValueError if the encoders give a text other vectors, since their settings differ."""
    mine, its = shared_vectors(nlp, component), shared_vectors(other, theirs)
    if not np.allclose(mine, its, rtol=1e-3, atol=1e-4):
        raise ValueError(
            f"the encoder of component {component!r} has the weights of that of the second pipeline, but other "
            f"settings, and gives other vectors; {FIX}"
        )


def shared_vectors(nlp: Language, component: str) -> ArrayT:
    """The shared vectors of a text, (n_tokens, width). A copy of the pipeline reads it, since encoders may remember
    words, and the rounding of what they predict later depends on that.
    """
    listeners = find_listeners(nlp.get_pipe(component).model)  # type: ignore[attr-defined]
    needed = {component, *(find_upstream(listener, nlp, component) for listener in listeners)}
    copied = copy_pipeline(nlp, [name for name in nlp.component_names if name not in needed])
    doc, pipe = copied.make_doc(TEXT), copied.get_pipe(component)
    for name in copied.component_names[:-1]:
        upstream: Any = copied.get_pipe(name)
        upstream.set_annotations([doc], upstream.predict([doc]))
    vectors: ArrayT = pipe.encoder.predict([doc]).dataXd  # type: ignore[attr-defined]
    return get_array_ops(vectors).to_numpy(vectors)


def check_same(model: Model[Any, Any], other: Model[Any, Any], what: str) -> None:
    """Raise a ValueError at the first parameter that differs."""
    names = [node.name for node in model.walk()]
    if names != [node.name for node in other.walk()]:
        raise ValueError(f"{what} has other layers than that of the second pipeline; {FIX}")
    mine, its = ({place: array for place, _, array in named_arrays(one)} for one in (model, other))
    for place in sorted(mine.keys() | its.keys()):
        if not same_array(mine.get(place), its.get(place)):
            index, name = place.split("/", 1)
            layer = f"{names[int(index)]}.{index}/{name}"
            raise ValueError(f"{what} has other weights than that of the second pipeline, first in {layer}; {FIX}")


def same_array(one: Any, other: Any) -> bool:
    """Whether both arrays exist and are equal to the last bit."""
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool((one == other).all())


def same_head(first: Any, second: Any, key: str) -> bool:
    """Whether a head of both components predicts the same in both: its network, and its view of the shared vectors."""
    one, other = first.heads[key], second.heads[key]
    if type(one) is not type(other) or one.model.to_bytes() != other.model.to_bytes():
        return False
    parts = [parts_of(pipe.encoder.maybe_get_ref("sharing"), [key]) for pipe in (first, second)]
    return parts[0].keys() == parts[1].keys() and all(same_array(parts[0][name], parts[1][name]) for name in parts[0])


def parts_of(sharing: Model[Any, Any] | None, heads: Sequence[str]) -> dict[str, Any]:
    """The parameters of a sharing layer that belong to some of the heads, by name: "intent/down_W"."""
    names = () if sharing is None else sharing.param_names
    return {name: sharing.get_param(name) for name in names if set(heads) & set(name.split("/"))}  # type: ignore[union-attr]


def add_heads(
    nlp: Language, component: str, heads: Mapping[str, Head], sections: Mapping[str, Any], weights: Mapping[str, float]
) -> None:
    """Add copies of heads to a component, and their sections and the weights of their losses to the config."""
    pipe: Any = nlp.get_pipe(component)
    copies = {key: rebuilt(head, make_part(nlp, "head", sections[key])) for key, head in heads.items()}
    both = dict(pipe.heads) | copies
    check_heads(both, component)
    for key, head in both.items():
        head.name = key
    check_overlap(both)
    weighting = nlp.get_pipe_config(component)["weighting"]
    if weights:
        weighting["weights"] = weighting.get("weights", {}) | dict(weights)
    whole = head_sections(nlp, component) | {key: sections[key] for key in heads}
    replace_heads(pipe, nlp, component, both, whole, NameChange())


def weights_of(nlp: Language, other: Language, component: str, theirs: str, heads: Sequence[str]) -> dict[str, float]:
    """The weights of heads in the second config, if it has a weighting of the same kind."""
    mine, its = nlp.get_pipe_config(component)["weighting"], other.get_pipe_config(theirs)["weighting"]
    given = its.get("weights")
    if mine["@mtl_weightings"] != its["@mtl_weightings"] or not isinstance(given, Mapping):
        return {}
    return {key: weight for key, weight in given.items() if key in heads}


def copy_sharing(pipe: Any, source: Any, heads: Sequence[str]) -> None:
    """Copy the added heads' parts of the sharing layer.

    RAISES ValueError: What the heads have in common in it differs, or only one of the components has the layer.
    """
    sharing, old = (one.encoder.maybe_get_ref("sharing") for one in (pipe, source))
    names = [None if layer is None else layer.name for layer in (sharing, old)]
    own = parts_of(sharing, list(pipe.heads))
    by_head = sharing is not None and old is None and len(own) == len(sharing.param_names)
    if by_head and changes_nothing(sharing, random_vectors(sharing), heads):
        return
    if names[0] != names[1]:
        raise ValueError(
            f"the sharing layers differ, {names[0]} and {names[1]}, so heads would see other vectors; if only one "
            "pipeline has adapters for its heads, name that one first; otherwise train one pipeline with all heads "
            "(init_from)"
        )
    if sharing is None:
        return
    common = [{name: layer.get_param(name) for name in layer.param_names} for layer in (sharing, old)]
    for arrays, has_heads in zip(common, (pipe, source), strict=True):
        for name in parts_of(sharing if has_heads is pipe else old, list(has_heads.heads)):
            del arrays[name]
    if not all(same_array(common[0].get(name), common[1].get(name)) for name in common[0].keys() | common[1].keys()):
        raise ValueError(f"the sharing layer {names[0]} has other weights than that of the second pipeline; {FIX}")
    for name, array in parts_of(old, heads).items():
        sharing.set_param(name, array.copy())


def random_vectors(sharing: SharingT) -> SharingInput:
    """A doc with random vectors, from which a layer shows whether it changes any."""
    vectors: ArrayT = np.random.default_rng(0).normal(size=(N_RANDOM, sharing.get_dim("nI"))).astype("float32")
    doc = Doc(Vocab(), words=["word"] * N_RANDOM)
    return SharingInput([doc], Ragged(sharing.ops.asarray(vectors), sharing.ops.asarray1i([N_RANDOM])))


def describe(nlp: Language, other: Language, component: str, theirs: str, added: Sequence[str]) -> None:
    """Add the scores of the added heads to the meta, and their weights to the scores by which the best model is chosen.
    Scores over all heads go.
    """
    heads = other.get_pipe(theirs).heads  # type: ignore[attr-defined]
    performance, wanted = dict(nlp.meta.get("performance", {})), nlp.config["training"]["score_weights"]
    own = {key: score for key, score in other.meta.get("performance", {}).items() if owner_of(key, heads) in added}
    scores = {key: score for key, score in (own | performance).items() if key.rpartition("/")[2] not in JOINT_SCORES}
    nlp.meta["performance"] = scores if added else performance
    for key, weight in other.config["training"]["score_weights"].items():
        if owner_of(key, heads) in added:
            wanted.setdefault(key, weight)
    for shown in ("heads", OLD_HEADS, CALIBRATION):
        records = other.meta.get("spacy_mtl", {}).get(shown, {}).get(theirs, {})
        mine = nlp.meta.setdefault("spacy_mtl", {}).setdefault(shown, {}).setdefault(component, {})
        mine.update({key: record for key, record in records.items() if key in added})
