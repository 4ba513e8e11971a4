"""Arrays in main memory that are as strict as cupy's, so that a machine without a GPU shows what would fail on one.

Mixing them with numpy's arrays raises an error, and so does using functions or arguments that cupy lacks. Each transfer
to main memory, for which the CPU would wait for the GPU, is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy
import pytest
import thinc.backends
import thinc.util
from thinc.api import NumpyOps, Ops, get_current_ops, set_current_ops

BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")
PROPERTIES = ("shape", "dtype", "size", "ndim", "strides", "itemsize", "nbytes", "flags")
# arguments of cupy's reductions, which have fewer than numpy's
REDUCTIONS = {
    **{name: {"axis", "out", "keepdims"} for name in ("max", "min", "any", "all")},
    **{name: {"axis", "dtype", "out", "keepdims"} for name in ("sum", "mean", "prod", "argmax", "argmin")},
    **{name: {"axis", "dtype", "out", "ddof", "keepdims"} for name in ("var", "std")},
}
METHODS = """
take repeat cumsum astype copy reshape ravel flatten transpose swapaxes dot clip fill view squeeze
""".split()
FUNCTIONS = """
empty zeros ones full arange empty_like zeros_like ones_like concatenate stack hstack vstack where take repeat
exp log tanh sqrt maximum minimum subtract multiply matmul dot outer einsum logaddexp isnan cumsum clip fill_diagonal
bincount broadcast_to
""".split()
NUMPY_OPS = NumpyOps()


class StrictArray:
    """An array of the device. moved (Counter): How often numbers were brought back, by the way they were."""

    moved: ClassVar[Counter[str]] = Counter()

    def __init__(self, values: Any) -> None:
        self.values = numpy.asarray(values)

    def __getattr__(self, name: str) -> Any:
        if name in PROPERTIES:
            return getattr(self.values, name)
        if name not in METHODS and name not in REDUCTIONS:
            raise AttributeError(f"cupy's arrays have no {name}, or tests/strict_arrays.py does not know it")
        return checked(name, getattr(self.values, name))

    @property
    def T(self) -> "StrictArray":
        return StrictArray(self.values.T)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("an array of the device is not converted implicitly")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(XP, ufunc.__name__)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return getattr(XP, function.__name__)(*args, **kwargs)

    def __getitem__(self, index: Any) -> "StrictArray":
        return StrictArray(self.values[unwrap_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[unwrap_index(index)] = unwrap(value)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator["StrictArray"]:
        return map(StrictArray, self.values)

    def _move(self, way: str) -> Any:
        self.moved[way] += 1
        return self.values

    def get(self) -> Any:
        return self._move("get").copy()

    def tolist(self) -> Any:
        return self._move("tolist").tolist()

    def __float__(self) -> float:
        return float(self._move("float"))

    def __int__(self) -> int:
        return int(self._move("int"))

    def __bool__(self) -> bool:
        return bool(self._move("bool"))


def operator(name: str) -> Callable[[StrictArray, Any], Any]:
    def apply(self: StrictArray, other: Any) -> Any:
        result = getattr(self.values, name)(unwrap(other))
        return self if name.startswith("__i") else StrictArray(result)

    return apply


for _name in (*(prefix + name for name in BINARY for prefix in ("", "r", "i")), *COMPARED):
    setattr(StrictArray, f"__{_name}__", operator(f"__{_name}__"))
for _name in ("neg", "invert"):
    setattr(StrictArray, f"__{_name}__", lambda self, name=f"__{_name}__": StrictArray(getattr(self.values, name)()))


def unwrap(value: Any) -> Any:
    """What numpy computes with. Refuses an array that lies in main memory."""
    if isinstance(value, StrictArray):
        return value.values
    if isinstance(value, numpy.ndarray) and value.ndim:
        raise TypeError(f"an array of numpy, {value.shape}, meets one of the device")
    return type(value)(map(unwrap, value)) if type(value) in (list, tuple) else value


def unwrap_index(index: Any) -> Any:
    """An index, which cupy takes from numpy too; a mask has to be counted first, for which cupy waits."""
    if isinstance(index, tuple):
        return tuple(map(unwrap_index, index))
    if not isinstance(index, StrictArray):
        return index
    if index.dtype == bool:
        index._move("mask")
    return index.values


def checked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numpy, for arrays of the device and cupy's arguments."""

    def call(*args: Any, **kwargs: Any) -> Any:
        lacking = set(kwargs) - REDUCTIONS.get(name, set(kwargs))
        if lacking:
            raise TypeError(f"cupy's {name} has no {sorted(lacking)}")
        out = kwargs.get("out")
        result = function(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()})
        return StrictArray(result) if out is None else out

    return call


class Add:
    """cupy's `add`, which has a method `at`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return checked("add", numpy.add)(*args, **kwargs)

    def at(self, array: StrictArray, index: Any, value: Any) -> None:
        numpy.add.at(array.values, unwrap_index(index), unwrap(value))


class StrictModule:
    """As far as it is needed, cupy."""

    ndarray = StrictArray
    add = Add()
    inf = numpy.inf

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTIONS and name not in REDUCTIONS:
            raise AttributeError(f"cupy has no {name}, or tests/strict_arrays.py does not know it")
        return checked(name, getattr(numpy, name))

    def split(self, array: StrictArray, places: Any) -> list[StrictArray]:
        """thinc gives it the lengths of docs, which lie on the device."""
        places = places._move("split") if isinstance(places, StrictArray) else places
        return list(map(StrictArray, numpy.split(array.values, places)))

    def array(self, values: Any, dtype: Any = None) -> StrictArray:
        return StrictArray(numpy.array(values.values if isinstance(values, StrictArray) else values, dtype=dtype))

    def asarray(self, values: Any, dtype: Any = None) -> StrictArray:
        same = isinstance(values, StrictArray) and dtype in (None, values.dtype)
        return values if same else self.array(values, dtype)

    def ascontiguousarray(self, values: StrictArray, dtype: Any = None) -> StrictArray:
        return StrictArray(numpy.ascontiguousarray(values.values, dtype=dtype))

    class random:
        uniform = staticmethod(lambda *args: StrictArray(numpy.random.uniform(*args)))


XP = StrictModule()


class StrictOps(Ops):
    """thinc's operations on the device: those that have kernels of their own in cupy are computed by numpy's."""

    name = "cupy"
    xp: Any = XP

    def __init__(self, device_type: str = "gpu", device_id: int = 0, **kwargs: Any) -> None:
        self.device_type, self.device_id = "gpu", 0

    def to_numpy(self, data: Any, *, byte_order: str | None = None) -> Any:
        return data if isinstance(data, numpy.ndarray) else data.get()

    def asarray(self, data: Any, dtype: Any = None) -> Any:
        return XP.asarray(data, dtype)

    def scatter_add(self, table: Any, indices: Any, values: Any) -> None:
        numpy.add.at(table.values, unwrap_index(indices), unwrap(values))

    def clip_gradient(self, gradient: Any, threshold: float) -> Any:
        NUMPY_OPS.clip_gradient(gradient.values, threshold)
        return gradient

    def adam(self, weights: Any, gradient: Any, mom1: Any, mom2: Any, *settings: Any) -> Any:
        NUMPY_OPS.adam(*(array.values for array in (weights, gradient, mom1, mom2)), *settings)
        return weights, gradient, mom1, mom2


def from_numpy_ops(name: str) -> Callable[..., Any]:
    def call(self: StrictOps, *args: Any, **kwargs: Any) -> Any:
        for array in args:
            if isinstance(array, numpy.ndarray):
                raise TypeError(f"{name} of an array in main memory")
        plain = {key: getattr(value, "values", value) for key, value in kwargs.items()}
        result = getattr(NUMPY_OPS, name)(*(getattr(array, "values", array) for array in args), **plain)
        return tuple(map(StrictArray, result)) if isinstance(result, tuple) else StrictArray(result)

    return call


for _name in ("hash", "gather_add", "gemm", "maxout", "backprop_maxout", "seq2col", "backprop_seq2col"):
    setattr(StrictOps, _name, from_numpy_ops(_name))
for _name in ("mean", "max", "sum"):
    setattr(StrictOps, f"reduce_{_name}", from_numpy_ops(f"reduce_{_name}"))
    setattr(StrictOps, f"backprop_reduce_{_name}", from_numpy_ops(f"backprop_reduce_{_name}"))


@pytest.fixture
def strict_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Let thinc take strict arrays for cupy's, and compute with them. Gives the count of what was brought back."""
    monkeypatch.setattr(thinc.util, "cupy", XP)
    monkeypatch.setattr(thinc.util, "has_cupy", True)
    monkeypatch.setattr(thinc.backends, "CupyOps", StrictOps)
    StrictArray.moved.clear()
    before = get_current_ops()
    set_current_ops(StrictOps())
    yield StrictArray.moved
    set_current_ops(before)
