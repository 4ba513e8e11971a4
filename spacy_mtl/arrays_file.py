"""Arrays by name in a compressed `.npz` file, each in the smallest type that holds it."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 1
ArraysT = Mapping[str, NDArray[Any]]


def save_arrays(path: Path, arrays: ArraysT) -> None:
    """Write the arrays. Integers are stored with as few bytes as they need."""
    # Not with np.savez: it takes the names as keyword arguments, so that "file" can be none, and compresses slowly.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, smallest(array), allow_pickle=False)


def load_arrays(path: Path, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Read the arrays whose names start with a prefix, which is taken off; the others are not decompressed."""
    with np.load(path, allow_pickle=False) as stored:
        names = [name for name in stored.files if name.startswith(prefix)]
        return {name[len(prefix) :]: stored[name] for name in names}


def smallest(array: NDArray[Any]) -> NDArray[Any]:
    """The integers of an array with as few bytes as they need; other arrays as they are."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    names = ("int8", "int16", "int32") if low < 0 else ("uint8", "uint16", "uint32")
    limits = [np.iinfo(name) for name in names]
    fitting = (limit.dtype for limit in limits if limit.min <= low and high <= limit.max)
    return array.astype(next(fitting, array.dtype))


def to_bytes(value: Any) -> NDArray[np.uint8]:
    """A value that JSON can hold, as an array."""
    return np.frombuffer(json.dumps(value).encode("utf8"), dtype="uint8")


def from_bytes(array: NDArray[np.uint8]) -> Any:
    """The value that `to_bytes` was given."""
    return json.loads(array.tobytes().decode("utf8"))
