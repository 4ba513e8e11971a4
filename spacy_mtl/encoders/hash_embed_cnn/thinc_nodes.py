"""The nodes and weights that the fast encoder reads from spaCy's tree of thinc nodes."""

from typing import Any, NamedTuple

from thinc.api import Model, Ops

from .kernels import Kernels
from .maxout_block import Block, BlockWeights, NodeT, read_weights
from .piece_layer import PIECES
from .window_encoder import WindowEncoder
from .word_vectors import Embedding


class Network(NamedTuple):
    """The nodes of the encoder.

    root (Model): The model itself.
    embedding (Embedding): The nodes of the embedding stage.
    encoder (WindowEncoder): The nodes of the convolutions.
    params (list[tuple[Model, str]]): The node and the name of every parameter.
    """

    root: NodeT
    embedding: Embedding
    encoder: WindowEncoder
    params: list[tuple[NodeT, str]]

    @property
    def ops(self) -> Ops:
        """The ops of the model."""
        return self.root.ops


class Weights(NamedTuple):
    """The weights in the order that the products use.

    mix (BlockWeights): The maxout of the embedding stage.
    layers (list[BlockWeights]): The convolutions.
    """

    mix: BlockWeights
    layers: list[BlockWeights]

    def share(self, kernels: Kernels) -> "Weights":
        """View all arrays as those of the kernels."""
        return Weights(self.mix.share(kernels), [layer.share(kernels) for layer in self.layers])


def find_network(model: Model[Any, Any]) -> Network:
    """Find the nodes by their names, in the order in which they are applied."""
    embed_nodes, encode_nodes = [list(layer.walk(order="dfs_pre")) for layer in model.layers]
    (extract,) = _named("extract_features", embed_nodes)
    (static,) = _named("static_vectors", embed_nodes) or _named(PIECES, embed_nodes) or [None]
    (mix,) = _blocks(embed_nodes)
    embedding = Embedding(extract, _named("hashembed", embed_nodes), static, mix)
    encoder = WindowEncoder(model, _named("expand_window", encode_nodes), _blocks(encode_nodes))
    params = [(node, name) for node in (*embed_nodes, *encode_nodes) for name in node.param_names]
    return Network(model, embedding, encoder, params)


def network_weights(network: Network, *, look_up: bool) -> Weights:
    """Copy the weights.

    network (Network): The nodes.
    look_up (bool): Whether the products of the first layer are looked up. Its taps are not converted for Winograd then.
    """
    embedding, encoder = network.embedding, network.encoder
    layers = [read_weights(block, encoder.n_taps) for block in encoder.blocks]
    if encoder.winograd:
        layers = [layer if look_up and i == 0 else layer.winograd() for i, layer in enumerate(layers)]
    return Weights(read_weights(embedding.mix, embedding.n_taps), layers)


def _named(name: str, nodes: list[NodeT]) -> list[Any]:
    return [node for node in nodes if node.name == name]


def _blocks(nodes: list[NodeT]) -> list[Block]:
    names = ("maxout", "layernorm", "dropout")
    return [Block(*block) for block in zip(*(_named(name, nodes) for name in names), strict=True)]
