"""The network of a component on a single doc, as a function that can be evaluated and differentiated without changing
anything: the heads and the sharing layer are copies, and the encoder is used through its embeddings.
"""

from collections.abc import Collection
from copy import deepcopy
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model, set_dropout_rate
from thinc.types import Ragged

from ..network.listeners import find_listeners, find_upstream
from ..network.run_heads import HeadsRun, MultitaskModelT, run_heads
from ..pipeline.decoding import Decoding
from ..pipeline.multitask import Multitask
from ..pipeline.run_order import needed_heads
from ..protocols.arrays import ArrayT, ScoresT, Tok2VecT
from ..protocols.between_heads import Prepares
from ..protocols.embeddings import EMBED, Embedded, EmbedT
from ..protocols.head_explanation import Attends, Explains, Target
from ..protocols.sharing import SharingInput


class DocNetwork:
    """Encoder and heads on a doc.

    pipe (Multitask): The component.
    doc (Doc): The doc. It is not changed.
    tokvecs (Floats2d): The shared vectors of its tokens, (n_tokens, width).
    embedded (Embedded | None): Its embeddings; None if the encoder does not offer any.
    """

    def __init__(self, nlp: Language, component: str, doc: Doc, names: Collection[str]) -> None:
        """names (Collection[str]): The heads that are asked for."""
        pipe: Any = nlp.get_pipe(component)
        self.nlp = nlp
        self.component = component
        self.pipe: Multitask = pipe
        self.doc = doc
        self.needed = needed_heads(pipe.heads, pipe.pairs, names)
        self._network = copy_network(pipe, self.needed)
        encoder = find_encoder(nlp, component)
        offer: EmbedT | None = encoder.attrs.get(EMBED)
        self.embedded: Embedded | None = None if offer is None else offer(encoder, [doc])
        self.tokvecs = self.encode_doc(doc) if self.embedded is None else self.embedded.encode(self.embedded.vectors)[0]
        self._decoding = Decoding(pipe.heads, pipe.pairs, [doc])
        self._run = self.run(self.tokvecs, self.needed, is_train=False)

    def explains(self, name: str) -> Explains | None:
        """The head, if it can explain itself."""
        head = self.pipe.heads[name]
        return head if isinstance(head, Explains) else None

    def predicted(self, name: str) -> tuple[ScoresT, Any]:
        """The scores that a head has decoded, and its annotation."""
        return self._decoding.decided(name, self._run.scores), self._decoding.annotation(name, self._run.scores)

    def held_fixed(self, name: str) -> tuple[str, ...]:
        """What the value of a head does not follow when tokens change."""
        heads = {key: self.pipe.heads[key] for key in needed_heads(self.pipe.heads, {}, [name])}
        return tuple(
            f"what head {key!r} works on"
            + (f", as {' and '.join(map(repr, head.depends_on))} found it" * any(head.depends_on))
            for key, head in heads.items()
            if isinstance(head, Prepares)
        )

    def attention(self, name: str, target: Target) -> ArrayT | None:
        """The attention of a head, (n_tokens,); None if it has none."""
        head = self.pipe.heads[name]
        if not isinstance(head, Attends):
            return None
        tokvecs = self._run.tokvecs
        if self._run.sharing is not None:
            tokvecs = self._run.sharing(SharingInput([self.doc], tokvecs), False)[0][name]
        return head.attention(target.name, tokvecs, self._run.scores[name])

    def value(self, tokvecs: ArrayT, name: str, target: Target) -> float:
        """Compute a target's value from shared vectors."""
        run = self.run(tokvecs, needed_heads(self.pipe.heads, {}, [name]), is_train=False)
        return target.measure(run.scores[name])[0]

    def differentiate(self, tokvecs: ArrayT, name: str, target: Target) -> tuple[float, ArrayT]:
        """Compute a target's value, and its gradient at the shared vectors, also through heads that this one is
        conditioned on.
        """
        run = self.run(tokvecs, needed_heads(self.pipe.heads, {}, [name]), is_train=True)
        value, d_scores = target.measure(run.scores[name])
        return value, run.backprop({name: d_scores})

    def run(self, tokvecs: ArrayT, names: Collection[str], *, is_train: bool) -> HeadsRun:
        """Run heads, with what was prepared for the doc when they ran first."""
        ragged = Ragged(tokvecs, self.pipe.model.ops.asarray1i([len(self.doc)]))
        return run_heads(
            self._network,
            self.pipe.in_order(),
            [self.doc],
            ragged,
            is_train=is_train,
            prepare=self._decoding.prepare,
            only=names,
        )

    def encode_doc(self, doc: Doc) -> ArrayT:
        """Compute the shared vectors of a doc with the same number of tokens, as in prediction."""
        run_upstream(self.nlp, self.component, doc)
        return self.pipe.encoder.predict([doc]).dataXd


def find_encoder(nlp: Language, component: str) -> Tok2VecT:
    """Find the encoder behind the shared vectors: the component's own, or that of the pipe that it listens to."""
    pipe: Any = nlp.get_pipe(component)
    encoder: Tok2VecT = pipe.encoder.get_ref("tok2vec")
    while hasattr(encoder, "upstream_name"):
        upstream: Any = nlp.get_pipe(find_upstream(encoder, nlp, component))
        encoder = upstream.model
    return encoder


def run_upstream(nlp: Language, component: str, doc: Doc) -> None:
    """Let the pipes that a component listens to give a doc its vectors."""
    pipe: Any = nlp.get_pipe(component)
    for listener in find_listeners(pipe.model):
        upstream: Any = nlp.get_pipe(find_upstream(listener, nlp, component))
        upstream.set_annotations([doc], upstream.predict([doc]))


def copy_network(pipe: Multitask, names: Collection[str]) -> MultitaskModelT:
    """Copy the networks of some heads and the sharing layer, with no dropout, in the form that `run_heads` takes. Their
    gradients are stored in the copies.
    """
    sharing = pipe.encoder.maybe_get_ref("sharing")
    encoder: Model[Any, Any] = Model("shared_vectors", refuse_forward, refs={"sharing": None})
    if sharing is not None:
        # Some draw numbers in training, but their backprop is the same.
        fixed: Model[Any, Any] = Model("sharing", predict_only, layers=[deepcopy(sharing)])
        encoder.layers.append(fixed)
        encoder.set_ref("sharing", fixed)
    models = [deepcopy(head.model) if key in names else head.model for key, head in sorted(pipe.heads.items())]
    for key, model in zip(sorted(pipe.heads), models, strict=True):
        if key in names:
            set_dropout_rate(model, 0.0)
    return Model("explained", refuse_forward, layers=[encoder, *models], refs={"encoder": encoder})


def predict_only(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    """Run a layer as in prediction, whoever asks."""
    return model.layers[0](X, False)


def refuse_forward(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    """Raise an error: it holds layers, which `run_heads` runs."""
    raise NotImplementedError(f"{model.name}: it only holds layers for run_heads")
