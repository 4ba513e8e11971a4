"""A builder of ONNX graphs, node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ImportError("onnx, which writes the graphs, is not installed: pip install 'spacy-mtl[onnx]'") from error

# LayerNormalization needs opset 17. IR version 8 is the one that runtimes of that time read.
OPSET = 17
IR_VERSION = 8
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Graph:
    """A graph under construction. Each value (an input, a weight or the output of a node) is a string, its name.

    name (str): Name of the graph.
    """

    FLOAT: int = TensorProto.FLOAT

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.weights: list[Any] = []
        self.nodes: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> str:
        """Add an array that the caller provides, unless there is one with this name already.

        name (str): Name of the input.
        shape (Sequence[int | str]): Its shape. Sizes that vary have names.
        dtype (str): "float32" or "int64".
        RETURNS (str): The value.
        """
        if all(known.name != name for known in self.inputs):
            self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], list(shape)))
        return name

    def weight(self, array: Any) -> str:
        """Add an array that is stored in the graph."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, **attrs: Any) -> str:
        """Apply an operator of ONNX.

        operator (str): Name of the operator.
        inputs (str): Values that it is applied to.
        attrs (Any): Attributes of the operator.
        RETURNS (str): The value of its output.
        """
        return self.nodes_of(operator, *inputs, n_outputs=1, **attrs)[0]

    def nodes_of(self, operator: str, *inputs: str, n_outputs: int, **attrs: Any) -> list[str]:
        """Apply an operator with several outputs. RETURNS: Their values."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attrs))
        return names

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Return a float value to the caller, under this name."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Serialise the graph as the contents of an .onnx file. Raises an error of onnx if it is not valid."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="spacy-mtl")
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
