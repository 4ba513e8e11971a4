"""How a step on one head's loss changes the other heads' losses (Fifty et al. 2021, "Efficiently Identifying Task
Groupings for Multi-Task Learning", NeurIPS).

With L[j] the loss of head j on a batch, and L[j | i] its loss on the same batch after a step on L[i] that moves the
shared parameters alone:

    affinity of i for j = 1 - L[j | i] / L[j]

The step is the one that the training's optimizer would take on this gradient if it had no momentum: in the paper it is
one of plain gradient descent. Momentum would be that of all heads together. Losses and gradients are computed without
dropout; an encoder's own replacement of words stays on for the gradients.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from spacy.language import Language
from spacy.training import Example
from thinc.api import Model, Optimizer

from ..network.finite_gradients import drop_gradients
from ..network.listeners import find_listeners, find_upstream
from ..optimizers.parameters import Parameter, find_parameters
from ..pipeline.multitask import Multitask
from ..protocols.arrays import ArrayT
from ..training.random_numbers import read_generators, set_generators

# What thinc's optimizers and ours keep for each parameter.
KEPT = ("mom1", "mom2", "averages", "nr_update", "last_seen")
# Head -> other head -> affinity of the first for the second.
AffinitiesT = dict[str, dict[str, float]]


class Lookahead:
    """Measures affinities beside a training. Weights, optimizer and random numbers are afterwards as before.

    nlp (Language): The pipeline. pipe (Multitask): Its component. optimizer (Optimizer): The training's.
    heads (Sequence[str]): The heads to measure.
    frozen, annotates (Sequence[str]): The training's frozen and annotating components.
    RAISES ValueError: The component listens to a frozen pipe, so that it shares nothing that learns.
    """

    def __init__(
        self,
        nlp: Language,
        pipe: Multitask,
        optimizer: Optimizer,
        heads: Sequence[str],
        *,
        frozen: Sequence[str] = (),
        annotates: Sequence[str] = (),
    ) -> None:
        self.nlp, self.pipe, self.optimizer, self.heads = nlp, pipe, optimizer, heads
        self.annotates = list(annotates)
        names = [find_upstream(listener, nlp, pipe.name) for listener in find_listeners(pipe.encoder)]
        self.upstream: dict[str, Any] = {name: nlp.get_pipe(name) for name in names}
        still = sorted(set(frozen) & set(names))
        if still:
            raise ValueError(
                f"component {pipe.name!r} listens to {still[0]!r}, which is in training.frozen_components: a step on a "
                "head would move nothing that others share; take it out, so that it is trained"
            )

    def measure(self, examples: Sequence[Example]) -> AffinitiesT:
        """Measure the affinities of the heads that have gold in the batch, each for each and for itself. Gradients must
        have been used up.
        """
        batch = [Example(eg.predicted.copy(), eg.reference) for eg in examples]
        numbers = read_generators()
        before = self._losses(batch)
        found: AffinitiesT = {}
        for head in before:
            with self._step(batch, head):
                after = self._losses(batch)
            found[head] = {other: 1.0 - after[other] / loss for other, loss in before.items()}
        set_generators(numbers)
        return found

    def _losses(self, batch: Sequence[Example]) -> dict[str, float]:
        docs = [eg.predicted for eg in batch]
        for pipe in self.upstream.values():
            pipe.set_annotations(docs, pipe.predict(docs))
        losses = self.pipe.losses_on(batch)
        return {head: losses[head] for head in self.heads if losses.get(head, 0.0) > 0}

    @contextmanager
    def _step(self, batch: Sequence[Example], head: str) -> Iterator[None]:
        """Take a step on a head's loss, and undo it when the block is left."""
        taking_part = {self.pipe.name, *self.upstream}
        self.nlp.update(
            batch,
            drop=0.0,
            sgd=False,  # type: ignore[arg-type]
            losses={},
            exclude=[name for name in self.nlp.pipe_names if name not in taking_part],
            annotates=self.annotates,
            component_cfg={self.pipe.name: {"only": head}},
        )
        parameters = self._shared_parameters()
        kept = [parameter.weights.copy() for parameter in parameters]
        with kept_state(self.optimizer, parameters):
            for parameter in parameters:
                take_step(self.optimizer, parameter)
        self.pipe.drop_gradients()
        for pipe in self.upstream.values():
            drop_gradients(pipe.model)
        try:
            yield
        finally:
            for parameter, weights in zip(parameters, kept, strict=True):
                parameter.weights[...] = weights

    def _shared_parameters(self) -> list[Parameter]:
        """The parameters of the encoder and of the pipe that it listens to."""
        models: list[Model[Any, Any]] = [self.pipe.encoder, *(pipe.model for pipe in self.upstream.values())]
        nodes = [node for model in models for node in model.walk()]
        ids = {node.id for node in nodes} | {shim.id for node in nodes for shim in node.shims}
        found = find_parameters(self.nlp).values()
        return [one for one in found if one.key[0] in ids and one.gradient is not None]


def take_step(optimizer: Optimizer, parameter: Parameter) -> None:
    """Move a parameter as the optimizer would without momentum."""
    assert parameter.gradient is not None
    momentum: ArrayT | None = optimizer.mom1.get(parameter.key)
    if momentum is not None:
        momentum.fill(0)
    weights = parameter.weights
    weights[...], _ = optimizer(parameter.key, weights.copy(), parameter.gradient.copy())


@contextmanager
def kept_state(optimizer: Optimizer, parameters: Sequence[Parameter]) -> Iterator[None]:
    """Let the optimizer work on copies of what it keeps for these parameters, and restore the originals afterwards."""
    tables: list[dict[Any, Any]] = [table for name in KEPT if (table := getattr(optimizer, name, None)) is not None]
    keys = [parameter.key for parameter in parameters]
    kept = [{key: table[key] for key in keys if key in table} for table in tables]
    for table, entries in zip(tables, kept, strict=True):
        table.update({key: copy(value) for key, value in entries.items()})
    try:
        yield
    finally:
        for table, entries in zip(tables, kept, strict=True):
            for key in keys:
                table.pop(key, None)
            table.update(entries)
