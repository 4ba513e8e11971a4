"""The factory `multitask`: the component with its default encoder, heads and weighting."""

from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.util import registry as spacy_registry
from thinc.api import Config

from .. import registry  # noqa: F401  (the config's registries)
from ..extras import add_requirement
from ..protocols.arrays import EncoderT
from .default_heads import DEFAULT_HEADS
from .multitask import READOUT_EVERY, Multitask, NanGradientT
from .score_weights import DEFAULT_WEIGHTS

DEFAULT_MODEL = Config().from_str("""
[model]
@architectures = "spacy_mtl.SharedEncoder.v1"
sharing = null

[model.tok2vec]
@architectures = "spacy_mtl.HashEmbedCNN.v1"
pretrained_vectors = null
width = 96
depth = 4
embed_size = 2000
window_size = 1
maxout_pieces = 3
subword_features = true
boundary = "padded"
word_dropout = 0.0
rare_word_dropout = 0.0
rare_word_power = 1.0
""")["model"]


@Language.factory(
    "multitask",
    assigns=["doc.cats", "doc.ents", "doc.spans", "token.ent_iob", "token.ent_type", "token.tag", "token.pos"],
    default_config={
        "model": DEFAULT_MODEL,
        "heads": None,
        "weighting": {"@mtl_weightings": "spacy_mtl.Static.v1", "weights": {}},
        "nan_gradient": "stop",
        "readout_every": READOUT_EVERY,
    },
    default_score_weights=DEFAULT_WEIGHTS,
)
def make_multitask(
    nlp: Language,
    name: str,
    model: EncoderT,
    heads: dict[str, Any] | None,
    weighting: Any,
    nan_gradient: NanGradientT,
    readout_every: int,
) -> Multitask:
    """Build the component: one shared encoder, several heads, trained jointly.

    model (Model[list[Doc], Ragged]): The shared encoder, usually `spacy_mtl.SharedEncoder.v1`.
    heads (dict[str, Head] | None): Heads by name, from the registry `mtl_heads`. Null builds an exclusive classifier
        `textcat` and an entity recognizer `ner`.
    weighting (Weighting): How the heads' losses and gradients become one, from the registry `mtl_weightings`.
    nan_gradient (str): What to do if the loss or the gradient of a head is NaN or infinite. `"stop"` raises an error
        that names the head. `"skip"` leaves the head out of the step and lets the others learn; the log says so once,
        and `cfg["n_skipped"]` of the component counts the steps of each head.
    readout_every (int): Number of steps between two measurements of the losses' gradients for the read-out, on average.
        Measuring changes nothing in the training. 0 measures none.
    """
    if heads is None:
        heads = {key: spacy_registry.get("mtl_heads", maker)() for key, maker in DEFAULT_HEADS.items()}
    pipe = Multitask(
        nlp.vocab,
        model,
        name,
        heads=heads,
        weighting=weighting,
        nan_gradient=nan_gradient,
        readout_every=readout_every,
    )
    pipe.meta = nlp.meta
    others = [other.model for _, other in nlp.components if isinstance(other, TrainablePipe)]
    add_requirement(nlp, [*others, pipe.model])
    return pipe
