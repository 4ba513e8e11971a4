"""A target's value as a function of the embeddings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols.arrays import ArrayT, FloatsT
from ..protocols.cannot_explain import CannotExplain
from ..protocols.embeddings import Embedded
from ..protocols.head_explanation import Target
from .doc_network import DocNetwork


@dataclass
class TargetFunction:
    """A target of a head in a doc. It counts its forward passes.

    network (DocNetwork): Encoder and heads on the doc.
    head (str): The head's name.
    target (Target): The target.
    """

    network: DocNetwork
    head: str
    target: Target
    n_passes: int = 0

    @property
    def n_tokens(self) -> int:
        """Number of tokens of the doc."""
        return len(self.network.doc)

    def embedded(self, method: str) -> Embedded:
        """Get the embeddings.

        RAISES CannotExplain: The encoder does not offer any.
        """
        if self.network.embedded is None:
            raise CannotExplain(
                f"component {self.network.component!r}: method {method!r} needs the embeddings of the encoder, which "
                'this one does not offer; use method = "occlusion", which works with any encoder, or an '
                "encoder that offers them: spacy_mtl.HashEmbedCNN.v1, spacy_mtl.MultiHashEmbedCNN.v1 or "
                "spacy_mtl.TransformerEncoder.v1"
            )
        return self.network.embedded

    def value_of_tokvecs(self, tokvecs: ArrayT) -> float:
        """Compute the value from shared vectors, (n_tokens, width)."""
        self.n_passes += 1
        return self.network.value(tokvecs, self.head, self.target)

    def value(self, embedded: Embedded, vectors: NDArray[np.float32]) -> float:
        """Compute the value from embeddings, (n_rows, width)."""
        return self.value_of_tokvecs(embedded.encode(vectors)[0])

    def differentiate(self, embedded: Embedded, vectors: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Compute the value from embeddings, and its gradient, (n_rows, width)."""
        self.n_passes += 1
        tokvecs, backprop = embedded.encode(vectors)
        value, d_tokvecs = self.network.differentiate(tokvecs, self.head, self.target)
        return value, backprop(d_tokvecs)

    def by_token(self, embedded: Embedded, rows: FloatsT) -> FloatsT:
        """Sum numbers of embeddings, (n_rows,), over the embeddings of each token, (n_tokens,)."""
        owned = embedded.owners >= 0
        scores: FloatsT = np.zeros(self.n_tokens)
        np.add.at(scores, embedded.owners[owned], rows[owned])
        return scores


@dataclass
class Attribution:
    """What a method computes.

    scores (FloatsT): (n_tokens,).
    value (float): The target's value.
    baseline_value (float | None): That of the baseline, if the method uses it.
    completeness_gap (float | None): See `Explanation`.
    """

    scores: FloatsT
    value: float
    baseline_value: float | None = None
    completeness_gap: float | None = None
