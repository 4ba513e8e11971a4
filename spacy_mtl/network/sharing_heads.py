"""The parts that heads have in the sharing layer of a trained component, when heads are added, removed or renamed."""

from collections.abc import Iterable, Mapping, Sequence

from thinc.api import Model
from thinc.types import Ragged

from ..protocols.arrays import EncoderT
from ..protocols.sharing import SharingInput, SharingT

NO_NAMES: Mapping[str, str] = {}


def mixes_heads(encoder: EncoderT) -> bool:
    """Whether there is a sharing layer in which what a head sees depends on the parts of other heads."""
    sharing = encoder.maybe_get_ref("sharing")
    return sharing is not None and bool(sharing.attrs.get("mixes_heads", True))


def changes_nothing(sharing: SharingT, X: SharingInput, heads: Iterable[str]) -> bool:
    """Whether these heads see the shared vectors as they are, as through new adapters."""
    views = sharing.predict(X)
    return all(bool((views[head].dataXd == X.tokvecs.dataXd).all()) for head in heads)


def set_sharing_heads(encoder: EncoderT, heads: Sequence[str], *, renamed: Mapping[str, str] = NO_NAMES) -> None:
    """Give the sharing layer, if there is one, parts for these heads. Parts that it has keep their values exactly, and
    new ones are initialised. Parts of other heads go, unless what is left depends on them.

    heads (Sequence[str]): All heads, under their new names.
    renamed (Mapping[str, str]): Old name -> new one.
    RAISES ValueError: The layer's parts can't be told apart, or it still has a part of the new name.
    """
    sharing = encoder.maybe_get_ref("sharing")
    if sharing is None or not sharing.attrs["heads"]:
        return  # without parts it is not initialised yet
    present = [renamed.get(name, name) for name in sharing.attrs["heads"]]
    if len(set(present)) < len(present):
        raise ValueError(
            f"the sharing layer {sharing.name!r} still has the parts of a removed head {list(renamed.values())}, on "
            "which what other heads see depends; choose another name"
        )
    kept = [name for name in present if name in heads or mixes_heads(encoder)]
    names = [*kept, *(name for name in heads if name not in kept)]
    if names != sharing.attrs["heads"]:
        encoder.replace_node(sharing, with_heads(sharing, names, renamed))


def with_heads(sharing: SharingT, names: Sequence[str], renamed: Mapping[str, str]) -> SharingT:
    """Build the layer anew for these heads, and copy what it has in common with the old one.

    Parameters are found by their names, in which a head is a part between slashes: "intent/gate", "slots/from/intent".
    """
    if sharing.layers or sharing.shims:
        raise ValueError(
            f"the sharing layer {sharing.name!r} is made of several layers, in which the parts of a head can't be "
            "told apart; train a pipeline with the new heads instead"
        )
    dims = {name: sharing.maybe_get_dim(name) for name in sharing.dim_names}
    attrs = dict(sharing.attrs) | {"heads": list(names)}
    built: SharingT = Model(sharing.name, sharing._func, init=sharing.init, dims=dims, attrs=attrs, ops=sharing.ops)
    built.initialize(SharingInput([], Ragged(sharing.ops.alloc2f(0, sharing.get_dim("nI")), sharing.ops.alloc1i(0))))
    old_names = {new: old for old, new in renamed.items()}
    for name in built.param_names:
        translated = "/".join(old_names.get(part, part) for part in name.split("/"))
        source = translated if sharing.has_param(translated) else name
        if sharing.has_param(source):
            built.set_param(name, sharing.get_param(source))
    return built
