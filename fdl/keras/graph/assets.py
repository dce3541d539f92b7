"""Vocabularies that a `.keras` file stores as assets."""

import dataclasses
from collections.abc import Callable

from fdl.keras.graph.description import Graph, Layer, refuse, with_options
from fdl.keras.graph.names import keys_in_file
from fdl.untrusted import shortened

_MOST_TOKENS = 1 << 20


def with_vocabularies(
    graph: Graph, read: Callable[[str], bytes | None], place: str = "assets/layers"
) -> Graph:
    """Return a graph whose layers have the vocabularies of the file's assets.

    Args:
        graph: The graph.
        read: Function that returns a member of the file, or None if there is none.
        place: Path of the layers' assets in the file.

    Raises:
        WeightsError: If a vocabulary is damaged.
    """
    layers = []
    for layer, key in zip(graph.layers, keys_in_file(graph), strict=True):
        if layer.graph:
            inner = with_vocabularies(layer.graph, read, f"{place}/{key}/layers")
            layer = dataclasses.replace(layer, graph=inner)
        if layer.kind == "IntegerLookup" and layer.options["vocabulary"] is None:
            content = read(f"{place}/{key}/vocabulary.txt")
            if content is not None:
                options = with_options(layer.options, vocabulary=_read(layer, content))
                layer = dataclasses.replace(layer, options=options)
        layers.append(layer)
    return dataclasses.replace(graph, layers=tuple(layers))


def _read(layer: Layer, content: bytes) -> tuple[int, ...]:
    lines = content.decode("utf-8", "replace").splitlines()
    if not 1 <= len(lines) <= _MOST_TOKENS:
        raise refuse(str(layer), f"has a vocabulary of {len(lines):,} lines.")
    tokens = []
    for line in lines:
        try:
            number = int(line) if len(line) <= 11 else 1 << 31
        except ValueError:
            number = 1 << 31
        if not -(1 << 31) <= number < 1 << 31:
            shown = repr(shortened(line, 40))
            raise refuse(str(layer), f"has the token {shown}, not a 32-bit integer.")
        tokens.append(number)
    return tuple(tokens)
