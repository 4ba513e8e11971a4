"""Numbers of parameters of a component's parts."""

from collections.abc import Mapping
from typing import Any

from thinc.api import Model

from ..protocols.arrays import EncoderT
from ..protocols.head import Head


def count_parameters(network: Model[Any, Any]) -> int:
    """Count the parameters of a network, those of torch included."""
    own = sum(node.get_param(name).size for node in network.walk() for name in node.param_names if node.has_param(name))
    modules: list[Any] = [getattr(shim, "_model", None) for node in network.walk() for shim in node.shims]
    return int(own) + sum(
        weights.numel() for module in modules if hasattr(module, "parameters") for weights in module.parameters()
    )


def count_by_part(encoder: EncoderT, heads: Mapping[str, Head]) -> dict[str, int]:
    """Count the parameters of the encoder ("encoder", 0 over a listener), of the sharing layer ("sharing", if there is
    one) and of each head ("heads/NAME").
    """
    counts = {"encoder": count_parameters(encoder.get_ref("encoder"))}
    sharing = encoder.maybe_get_ref("sharing")
    if sharing is not None:
        counts["sharing"] = count_parameters(sharing)
    return counts | {f"heads/{name}": count_parameters(head.model) for name, head in heads.items()}


def describe_counts(counts: Mapping[str, int]) -> str:
    """Describe the numbers in words: "1,234 parameters: encoder 1,000, sharing 200, heads/intent 34"."""
    parts = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    return f"{sum(counts.values()):,} parameters: {parts}"
