"""All heads of a pipeline on one doc, for tools that explain many docs."""

from collections.abc import Iterator

from spacy.language import Language
from spacy.tokens import Doc

from ..protocols.cannot_explain import CannotExplain
from ..protocols.head import HasHeads
from ..protocols.head_explanation import Target
from ..threads.blas_threads import one_blas_thread
from .doc_network import DocNetwork
from .explain import explanation_of, make_network, run_pipes_before, targets_of
from .explanation import Explanation
from .integrated_gradients import integrated_gradients
from .occlusion import occlusion
from .target_function import TargetFunction

# Most points of integrated gradients. Few predictions need more, and a tool that explains many can do without these.
MAX_POINTS = 64


class DocExplainer:
    """The heads that can explain themselves, of all components.

    targets (dict[str, list[Target]]): What each of them has predicted, in the order of the pipeline.
    """

    def __init__(self, nlp: Language, doc: Doc) -> None:
        """doc (Doc): Its tokens alone are read."""
        self._networks: dict[str, DocNetwork] = {}
        self.targets: dict[str, list[Target]] = {}
        for component in components_with_heads(nlp):
            network = make_network(nlp, run_pipes_before(nlp, component, doc.copy()), None, component)
            for head in network.pipe.heads:
                if network.explains(head) is not None:
                    self._networks[head] = network
                    self.targets[head] = targets_of(network, head)

    def explain(self, head: str, target: Target) -> Explanation:
        """Explain a target by integrated gradients at 64 points at most, or by occlusion if the encoder does not offer
        its embeddings.
        """
        network = self._networks[head]
        function = TargetFunction(network, head, target)
        with one_blas_thread(len(network.doc)):
            if network.embedded is None:
                return explanation_of(function, "occlusion", occlusion(function))
            found = integrated_gradients(function, max_points=MAX_POINTS)
            return explanation_of(function, "integrated_gradients", found)

    def find_target(self, head: str, like: Target, label: str) -> Target | None:
        """Find the target with another label at the same place; None if the head has none."""
        network = self._networks[head]
        owner = network.explains(head)
        assert owner is not None
        try:
            return owner.find_target(like.name._replace(label=label), network.doc, *network.predicted(head))
        except CannotExplain:
            return None


def components_with_heads(nlp: Language) -> Iterator[str]:
    """The components that have heads."""
    return (name for name, pipe in nlp.pipeline if isinstance(pipe, HasHeads))
