"""Whether 8-bit integers or bfloat16 multiply faster than float32 at the shapes of the fast encoder and of the heads.

    python benchmarks/speed/integer_products.py

Each row is a shape: (rows, width) @ (width, outputs). The first column is what the encoder uses, float32 in torch; the
others are its time over theirs, so that more than 1 is faster: CPU time of one thread, in turns, as medians over rounds
with the least and the greatest. Each variant takes and gives float32, since the steps in between (maxout, layer norm)
need it: what it costs to convert counts.
"""

import io
import logging
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from speed_options import make_parser
from torch import Tensor

# width and outputs of the products: a tap of a convolution (4 of them for two positions), a whole window of three, a
# head of 79 tags on token vectors
SHAPES = {"tap": (96, 288), "window": (288, 288), "tag head": (96, 79)}
ProductT = Callable[[Tensor], object]


def main() -> None:
    parser = make_parser(__doc__, rounds=21)
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 256, 1024, 4096])
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(f"{torch.backends.cpu.get_cpu_capability()}, int8 engine {torch.backends.quantized.engine}, one thread")
    print(f"{'product':<10}{'rows':>6}{'GFLOP/s':>9}" + "".join(f"{name:>24}" for name in list(VARIANTS)[1:]))
    for name, (width, n_out) in SHAPES.items():
        for n_rows in args.rows:
            print(f"{name:<10}{n_rows:>6}" + compare(n_rows, width, n_out, rounds=args.rounds))


def compare(n_rows: int, width: int, n_out: int, *, rounds: int) -> str:
    """RETURNS: The rest of the shape's row."""
    torch.manual_seed(0)
    X, W, b = torch.randn(n_rows, width), torch.randn(width, n_out) / width**0.5, torch.randn(n_out)
    products = {name: build(W, b) for name, build in VARIANTS.items()}
    repeats = max(1, int(2e7 / (n_rows * width * n_out)))
    times = {name: [] for name in products}
    for _ in range(rounds + 1):
        for name, product in products.items():
            times[name].append(timed(product, X, repeats))
    base = times.pop("float32")[1:]
    cells = [f"{2 * n_rows * width * n_out / median(base) / 1e9:>9.0f}"]
    for own in times.values():
        ratios = [a / b for a, b in zip(base, own[1:], strict=True)]
        cells.append(f"{f'{median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})':>24}")
    return "".join(cells)


def timed(product: ProductT, X: Tensor, repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        product(X)
    return (time.thread_time() - start) / repeats


def float32(W: Tensor, b: Tensor) -> ProductT:
    return lambda X: torch.addmm(b, X, W)


def bfloat16(W: Tensor, b: Tensor) -> ProductT:
    low_W, low_b = W.bfloat16(), b.bfloat16()
    return lambda X: torch.addmm(low_b, X.bfloat16(), low_W).float()


def torch_int8(W: Tensor, b: Tensor) -> ProductT:
    """fbgemm: weights quantised once, each input to its own range."""
    scales, zeros = W.T.abs().amax(1) / 127, torch.zeros(W.shape[1], dtype=torch.int64)
    quantised = torch.quantize_per_channel(W.T.contiguous(), scales.double(), zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, b)
    return lambda X: torch.ops.quantized.linear_dynamic(X, packed, reduce_range=True)


def onnx_session(W: Tensor, b: Tensor, *, int8: bool) -> ProductT:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = [onnx.numpy_helper.from_array(a.numpy(), n) for n, a in {"W": W, "b": b}.items()]
    nodes = [helper.make_node("MatMul", ["X", "W"], ["XW"]), helper.make_node("Add", ["XW", "b"], ["Y"])]
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", len(W)])
    Y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n", len(b)])
    graph = helper.make_graph(nodes, "product", [X], [Y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = io.BytesIO(model.SerializeToString())
    if int8:
        content = io.BytesIO()
        quantize_dynamic(model, content, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda X: session.run(None, {"X": X.numpy()})


VARIANTS: dict[str, Callable[[Tensor, Tensor], ProductT]] = {
    "float32": float32,
    "bfloat16": bfloat16,
    "int8, torch": torch_int8,
    "float32, onnxruntime": lambda W, b: onnx_session(W, b, int8=False),
    "int8, onnxruntime": lambda W, b: onnx_session(W, b, int8=True),
}


if __name__ == "__main__":
    main()
