"""What a model consists of: its layers, and which reads which."""

from typing import NamedTuple


class Layer(NamedTuple):
    """A layer, or several that are shown as one.

    Attributes:
        name: Where it is, such as `block1/conv`, as `--freeze` takes it; `.` for what
            the model does by itself.
        kind: Its class.
        shapes: Shapes of its outputs, without the batch.
        parameters: Number of its weights, statistics included.
        trained: How many of these are trained.
        flops: Additions and multiplications of its products, see `summary`.
        reads: Names of the layers whose outputs it computes with, in the order in which
            they begin; an input of the model is `input`, or of several `input 1` etc.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    trained: int
    flops: int
    reads: tuple[str, ...] = ()


class Summary(NamedTuple):
    """A model, layer by layer; as text, a table like that of Keras.

    Attributes:
        name: Its class, or the name that it has in Keras.
        inputs: Shapes of its inputs, without the batch.
        layers: Its layers, in the order in which they begin.
        returns: Names of the layers that its outputs are computed from.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    layers: tuple[Layer, ...]
    returns: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of all weights, statistics included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trained(self) -> int:
        """Number of the weights that are trained."""
        return sum(layer.trained for layer in self.layers)

    @property
    def flops(self) -> int:
        """Additions and multiplications of all products."""
        return sum(layer.flops for layer in self.layers)

    def __str__(self) -> str:
        """Return a line for each layer, and one with the totals."""
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
    """Return shapes as a table says them.

    Example:
        >>> shape_words(((28, 28, 1), ()))
        '28x28x1, 1'
    """
    words = ["x".join(map(str, shape)) or "1" for shape in shapes]
    return ", ".join(words if len(words) < 4 else [*words[:3], "..."])
