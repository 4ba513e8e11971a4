"""Explain what heads predict: which tokens led to a class, an entity, a tag or a number."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args, overload

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import logger

from ..pipeline.extraction import find_with_heads
from ..protocols.cannot_explain import CannotExplain
from ..protocols.head import HasHeads
from ..protocols.head_explanation import Explains, Target, TargetName
from ..threads.blas_threads import one_blas_thread
from .attention_weights import attention
from .doc_network import DocNetwork
from .explanation import Explanation
from .gradient_x_input import gradient_x_input
from .integrated_gradients import TOLERANCE, integrated_gradients
from .occlusion import occlusion
from .target_function import Attribution, TargetFunction

MethodT = Literal["integrated_gradients", "gradient_x_input", "occlusion", "attention"]
METHODS: Mapping[str, Callable[[TargetFunction], Attribution]] = {
    "integrated_gradients": integrated_gradients,
    "gradient_x_input": gradient_x_input,
    "occlusion": occlusion,
    "attention": attention,
}
assert tuple(METHODS) == get_args(MethodT)
INCOMPLETE = (
    "head '%s': the scores for target '%s' miss %.1f %% of the difference between doc and baseline after %d steps of "
    'integrated gradients; compare them with method = "occlusion"'
)


@overload
def explain(
    nlp: Language,
    doc: Doc | str,
    head: str,
    method: MethodT = ...,
    target: str | None = ...,
    *,
    component: str | None = ...,
) -> Explanation: ...
@overload
def explain(
    nlp: Language,
    doc: Doc | str,
    head: None = ...,
    method: MethodT = ...,
    target: str | None = ...,
    *,
    component: str | None = ...,
) -> dict[str, Explanation]: ...
def explain(
    nlp: Language,
    doc: Doc | str,
    head: str | None = None,
    method: MethodT = "integrated_gradients",
    target: str | None = None,
    *,
    component: str | None = None,
) -> Explanation | dict[str, Explanation]:
    """Compute which tokens led a head to a prediction. Neither the pipeline nor the doc is changed: parameters,
    gradients, caches of the encoder and random state stay as they are.

    doc (Doc | str): The text, or a doc that has the annotation of the pipes before the component.
    head (str | None): The head's name. None explains the first target of all heads that have found something, without
        heads that can't explain themselves, or not by this method.
    method (str): "integrated_gradients", whose scores sum to the difference from a baseline without information;
        "gradient_x_input", which takes a single pass; "occlusion", one pass for each token, for any encoder; or
        "attention", where a head pools by attention.
    target (str | None): What to explain: a class "PlayMusic", an entity "artist[2:4]" (first token, and the one after
        the last), a token's tag "NOUN[3]". A label alone stands for the first one that is predicted with it, and
        "[2:4]" for whatever is predicted there. None is the first target that `explain_targets` lists.
    component (str | None): The component, if several have heads.
    RAISES CannotExplain: The component or the head does not exist, or the head can't explain itself, or has no such
        target; the doc is empty; or the method does not suit the encoder or the head. It is a ValueError.
    RETURNS: an `Explanation`, or with `head = None` a dict of them by the heads' names.
    """
    if method not in METHODS:
        raise CannotExplain(f"explain: method is {method!r}, expected one of {list(METHODS)}")
    if head is None and target is not None:
        raise CannotExplain(f"explain: target is {target!r}, but a target belongs to a head; set head too")
    network = make_network(nlp, doc, head, component)
    if head is not None:
        return explain_target(network, head, choose_target(network, head, target), method)
    listed = {name: targets_of(network, name) for name in network.pipe.heads if network.explains(name)}
    first = {name: targets[0] for name, targets in listed.items() if targets}
    if method == "attention":
        first = {name: own for name, own in first.items() if network.attention(name, own) is not None}
    return {name: explain_target(network, name, own, method) for name, own in first.items()}


def explain_targets(nlp: Language, doc: Doc | str, *, component: str | None = None) -> dict[str, list[str]]:
    """List what the heads have predicted in a doc, under the names that `explain` takes as `target`.

    RETURNS: by head name, without the heads that can't explain themselves.
    """
    network = make_network(nlp, doc, None, component)
    able = [name for name in network.pipe.heads if network.explains(name)]
    return {name: [str(target.name) for target in targets_of(network, name)] for name in able}


def make_network(nlp: Language, doc: Doc | str, head: str | None, component: str | None) -> DocNetwork:
    """Set up the network for a head of a doc, or for all heads that can explain themselves. The doc is copied."""
    try:
        component = find_with_heads(nlp, component)
    except ValueError as error:
        raise CannotExplain(str(error)) from None
    pipe = nlp.get_pipe(component)
    assert isinstance(pipe, HasHeads)
    able = [name for name, own in pipe.heads.items() if isinstance(own, Explains)]
    if head is not None and head not in pipe.heads:
        raise CannotExplain(f"component {component!r}: there is no head {head!r} to explain; it has {list(pipe.heads)}")
    if head is not None and head not in able:
        raise CannotExplain(
            f"head {head!r}: a {type(pipe.heads[head]).__name__} can't explain itself; the heads that can are {able}"
        )
    copied = doc.copy() if isinstance(doc, Doc) else run_pipes_before(nlp, component, nlp.make_doc(doc))
    if not len(copied):
        raise CannotExplain("explain: the doc is empty, so there is no token to explain a prediction by")
    with one_blas_thread(len(copied)):
        return DocNetwork(nlp, component, copied, able if head is None else [head])


def run_pipes_before(nlp: Language, component: str, doc: Doc) -> Doc:
    """Run the pipes before the component on a doc."""
    for name, pipe in nlp.pipeline:
        if name == component:
            break
        doc = pipe(doc)
    return doc


def targets_of(network: DocNetwork, head: str) -> list[Target]:
    """What a head has predicted."""
    owner = network.explains(head)
    assert owner is not None
    return owner.targets(network.doc, *network.predicted(head))


def choose_target(network: DocNetwork, head: str, wanted: str | None) -> Target:
    """Find the target that a user names."""
    predicted = targets_of(network, head)
    if wanted is None:
        if not predicted:
            raise CannotExplain(
                f"head {head!r}: it has found nothing in this doc; name a target that it could have found, such as "
                "'LABEL[0:1]' for the first token"
            )
        return predicted[0]
    exact = [target for target in predicted if str(target.name) == wanted]
    name = TargetName.read(wanted)
    near = [
        target
        for target in predicted
        if (not name.places and target.name.label == wanted) or (not name.label and target.name.places == name.places)
    ]
    if exact or near:
        return (exact or near)[0]
    owner = network.explains(head)
    assert owner is not None
    return owner.find_target(name, network.doc, *network.predicted(head))


def explain_target(network: DocNetwork, head: str, target: Target, method: str) -> Explanation:
    """Explain a target by a method. Warns if integrated gradients stay incomplete."""
    function = TargetFunction(network, head, target)
    with one_blas_thread(len(network.doc)):
        found = METHODS[method](function)
    if found.completeness_gap is not None and found.completeness_gap > TOLERANCE:
        logger.warning(INCOMPLETE, head, target.name, 100 * found.completeness_gap, function.n_passes)
    return explanation_of(function, method, found)


def explanation_of(function: TargetFunction, method: str, found: Attribution) -> Explanation:
    """Put what a method has computed into words."""
    network, target = function.network, function.target
    return Explanation(
        head=function.head,
        target=str(target.name),
        method=method,
        unit=target.unit,
        tokens=tuple(token.text for token in network.doc),
        scores=tuple(found.scores.tolist()),
        target_tokens=target.tokens,
        value=found.value,
        baseline_value=found.baseline_value,
        completeness_gap=found.completeness_gap,
        n_passes=function.n_passes,
        held_fixed=network.held_fixed(function.head),
    )
