"""Entries of the table of layers, and the interface that a running layer uses."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fdl.arrays import Array
from fdl.keras.graph.description import Layer, Options
from fdl.keras.table.options import Option
from fdl.nn.initializers import Draw

Change = Callable[[str, Array], Array]


class Weight(NamedTuple):
    """A weight that a layer declares, see `Run.weight`."""

    name: str
    shape: tuple[int, ...]
    options: str | None = None
    at: str = ""
    fans: tuple[int, int] | None = None
    start: str = "Zeros"
    drawn: Draw | None = None
    trained: bool = True
    again: bool = False

    @property
    def prefix(self) -> str:
        """Prefix of its options' names: `kernel` for `kernel_initializer`."""
        return self.name if self.options is None else self.options


class Run(abc.ABC):
    """One call of a layer.

    Attributes:
        options: All options of the layer.
        train: Whether the model is being trained.
        learns: Whether this layer is trainable.
        mask: Masks of the first argument, nested like it; True for steps that are not
            padding.
        passed: The mask that Keras passes to the layer's `call`: `mask`, or None.
        masks: Masks of all arguments, by position and by name.
        out_mask: Masks of the outputs, if the entry sets them itself.
    """

    options: Options
    train: bool
    learns: bool
    mask: Any
    passed: Any
    masks: dict[int | str, Any]
    out_mask: Any

    @abc.abstractmethod
    def ask(self, weight: Weight) -> Array:
        """Return a weight."""

    def weight(
        self,
        name: str,
        shape: tuple[int, ...],
        options: str | None = None,
        *,
        at: str = "",
        fans: tuple[int, int] | None = None,
        start: str = "Zeros",
        drawn: Draw | None = None,
        trained: bool = True,
    ) -> Array:
        """Declare a weight, and return it.

        Weights at the same place must be declared in the order in which Keras creates
        them, which is their order in files.

        Args:
            name: Its name in the variables.
            shape: Its shape.
            options: Prefix of the names of its options; None for its name.
            at: Its group in files, below that of the layer.
            fans: Numbers of inputs and outputs, if they do not follow from the shape.
            start: The initializer of a weight without options.
            drawn: Function that draws it instead of the initializer.
            trained: Whether it is a parameter; otherwise it is a statistic.
        """
        return self.ask(Weight(name, shape, options, at, fans, start, drawn, trained))

    def stored_again(self, name: str, shape: tuple[int, ...]) -> None:
        """Declare that files contain a weight of an inner layer here as well.

        Args:
            name: Its name, such as `layer/kernel`.
            shape: Its shape.
        """
        self.ask(Weight(name, shape, again=True))

    @abc.abstractmethod
    def update(self, name: str, value: Array) -> None:
        """Set a weight that is a statistic."""

    @abc.abstractmethod
    def key(self) -> Array:
        """Return a random key for dropout."""

    @abc.abstractmethod
    def part(
        self, name: str, layer: Layer, at: str, change: Change | None = None
    ) -> Callable[..., Any]:
        """Return a function `(*args, mask=, **kwargs)` that calls a layer inside this.

        Args:
            name: Its name in the variables.
            layer: The layer.
            at: Its group in files, below that of this layer.
            change: Function of the name and value of a weight that returns the value
                to use.
        """

    @abc.abstractmethod
    def activation(self, x: Array, option: str = "activation") -> Array:
        """Apply the activation that an option names."""


class Entry(NamedTuple):
    """A class of layers.

    Attributes:
        run: The computation: `(run, *args, **kwargs) -> outputs`.
        options: The options of the class.
        keeps_mask: Whether the outputs keep the mask of the first argument.
        kwargs: Keyword arguments of its calls.
        takes_masks: Whether its inputs lose their masks for all later calls, which they
            do not in Keras 2.
        level: Differences from Keras, if any, for the documentation.
        counters: Number of integer variables that Keras stores after the weights.
    """

    run: Callable[..., Any]
    options: Mapping[str, Option] = {}
    keeps_mask: bool = False
    kwargs: tuple[str, ...] = ()
    takes_masks: bool = False
    level: str = ""
    counters: int = 0
