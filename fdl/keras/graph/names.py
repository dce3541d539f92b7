"""Names of layers as submodules and as groups in files."""

import flax.linen as nn

from fdl.keras.graph.description import Graph
from fdl.keras.layers import snake_case

# Attributes and methods of our modules, in addition to those of `nn.Module`.
_TAKEN = """graph custom_layers frozen constraints layer place learns mode change
weight custom""".split()


def module_name(name: str) -> str:
    """Return the name of a layer's submodule; an underscore follows a taken name."""
    taken = hasattr(nn.Module, name) or name in _TAKEN
    return f"{name}_" if taken else name


def keys_in_file(graph: Graph) -> list[str]:
    """Return the names of the layers' groups in files: `dense`, `dense_1`, ..."""
    counts: dict[str, int] = {}
    keys = []
    for layer in graph.layers:
        if layer.kind.startswith("ops."):
            keys.append("")
            continue
        kind = snake_case(layer.graph.kind if layer.graph else layer.kind)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        keys.append(f"{kind}_{number}" if number else kind)
    return keys
