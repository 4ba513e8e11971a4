"""Write down a network as an ONNX graph, node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ImportError("onnx, which writes the graphs, is not installed: pip install 'spacy-mtl[onnx]'") from error

# LayerNormalization came with opset 17; IR version 8 is what runtimes of that time read
OPSET = 17
IR_VERSION = 8
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Graph:
    """A graph that grows. Inputs, weights and what nodes give are named by strings."""

    FLOAT: int = TensorProto.FLOAT

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.weights: list[Any] = []
        self.nodes: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> str:
        """An array that the caller gives; sizes that vary have names. Asked for again, it is the same."""
        if all(known.name != name for known in self.inputs):
            self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], list(shape)))
        return name

    def weight(self, array: Any) -> str:
        """An array that is part of the graph."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, **attrs: Any) -> str:
        """What an operator of ONNX makes of its inputs."""
        return self.nodes_of(operator, *inputs, n_outputs=1, **attrs)[0]

    def nodes_of(self, operator: str, *inputs: str, n_outputs: int, **attrs: Any) -> list[str]:
        """The same for an operator with several outputs."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attrs))
        return names

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give a value to the caller."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The graph as the contents of an .onnx file. Raises an error of onnx if it is not valid."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="spacy-mtl")
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
