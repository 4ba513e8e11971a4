"""Docs with span groups are written and read quickly."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from srsly import msgpack_decoders, msgpack_encoders


@contextmanager
def quick_messages() -> Iterator[None]:
    """Spare srsly a search for each span group. It collects its encoders and decoders anew each time, from all
    registries and the entry points of all installed packages, which takes about a millisecond; here it does so once.
    """
    with ExitStack() as stack:
        for coders in (msgpack_encoders, msgpack_decoders):
            instance, found = vars(coders), coders.get_all()
            instance["get_all"] = lambda found=found: found
            stack.callback(instance.pop, "get_all")
        yield
