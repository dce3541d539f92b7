"""The layers of a model and how they are connected: the result of `fdl.summary`."""

from typing import NamedTuple


class Layer(NamedTuple):
    """A layer, or several layers shown as one.

    Attributes:
        name: Path of the layer, such as `block1/conv`, as `--freeze` takes it; `.` for
            what the model computes outside its layers.
        kind: Class name.
        shapes: Output shapes, without the batch axis.
        parameters: Number of weights, including statistics.
        trained: Number of these that are trained.
        flops: Additions and multiplications in matrix products and convolutions; see
            `summary`.
        reads: Names of the layers whose outputs this layer takes, in order of their
            first call. The input of the model is `input`, or `input 1`, `input 2`, ...
            if there are several.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    trained: int
    flops: int
    reads: tuple[str, ...] = ()


class Summary(NamedTuple):
    """A model, layer by layer; `str` renders a table like that of Keras.

    Attributes:
        name: Class name of the model, or its Keras name.
        inputs: Input shapes, without the batch axis.
        layers: Layers, in order of their first call.
        returns: Names of the layers from which the outputs are computed.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    layers: tuple[Layer, ...]
    returns: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of all weights, including statistics."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trained(self) -> int:
        """Number of weights that are trained."""
        return sum(layer.trained for layer in self.layers)

    @property
    def flops(self) -> int:
        """Additions and multiplications in all matrix products and convolutions."""
        return sum(layer.flops for layer in self.layers)

    def __str__(self) -> str:
        """Return a table with a row for each layer, and a line of totals."""
        head = ("layer", "class", "output", "parameters", "trained", "FLOPs")
        rows: list[tuple[str, ...]] = [head]
        for layer in self.layers:
            numbers = layer.parameters, layer.trained, layer.flops
            counts = [f"{x:,}" if layer.parameters or x else "" for x in numbers]
            rows.append((layer.name, layer.kind, shape_words(layer.shapes), *counts))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [
                cell.ljust(width) if place < 3 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        trained = f"of which {self.trained:,} are trained"
        inputs = shape_words(self.inputs)
        lines.append(
            f"{self.name} on {inputs}: {self.parameters:,} parameters, "
            f"{'all trained' if self.trained == self.parameters else trained}; "
            f"{self.flops:,} FLOPs"
        )
        return "\n".join(lines)


def shape_words(shapes: tuple[tuple[int, ...], ...]) -> str:
    """Format shapes for a table.

    Example:
        >>> shape_words(((28, 28, 1), ()))
        '28x28x1, 1'
    """
    words = ["x".join(map(str, shape)) or "1" for shape in shapes]
    return ", ".join(words if len(words) < 4 else [*words[:3], "..."])
