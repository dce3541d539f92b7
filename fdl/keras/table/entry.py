"""What the table says of a class of layers, and what a layer may ask for as it runs."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fdl.arrays import Array
from fdl.keras.graph.description import Layer, Options
from fdl.keras.table.options import Option
from fdl.nn.initializers import Draw

Change = Callable[[str, Array], Array]


class Weight(NamedTuple):
    """A weight that a layer asks for, see `Run.weight`."""

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
        """What the names of its options begin with."""
        return self.name if self.options is None else self.options


class Run(abc.ABC):
    """A layer that runs.

    Attributes:
        options: All options of the layer.
        train: Whether the model is trained.
        learns: Whether this layer is trained, too.
        mask: Masks of the first argument, nested as this is; True where a step is real.
        passed: The mask that Keras passes to the layer's `call`: the same, or None.
        masks: Masks of all arguments by position and by name.
        out_mask: Masks of the outputs, where an entry sets them itself.
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
        """Return a weight.

        Weights at the same place must be asked for in the order in which Keras makes
        them, which is their order in files.

        Args:
            name: Its name in the variables.
            shape: Its shape.
            options: What the names of its options begin with, if not with its name.
            at: Where files have it, below the place of the layer.
            fans: Numbers of inputs and outputs, if the shape does not tell them.
            start: The initializer of a weight that has no options.
            drawn: How it is drawn, if not as its options say.
            trained: Whether it is a parameter, or else a statistic.
        """
        return self.ask(Weight(name, shape, options, at, fans, start, drawn, trained))

    def stored_again(self, name: str, shape: tuple[int, ...]) -> None:
        """Say that files have a weight of a part here, too: `layer/kernel`."""
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
        """Return a layer that belongs to this one: `(*args, mask=, **kwargs)`.

        Args:
            name: Its name in the variables.
            layer: The layer.
            at: Where files have it, below the place of this one.
            change: Returns the weight that is used, by name and weight.
        """

    @abc.abstractmethod
    def activation(self, x: Array, option: str = "activation") -> Array:
        """Apply an activation that is an option."""


class Entry(NamedTuple):
    """A class of layers.

    Attributes:
        run: What a layer does: `(run, *args, **kwargs) -> outputs`.
        options: Its options.
        keeps_mask: Whether the outputs have the mask of the first argument, which is
            lost otherwise.
        kwargs: Arguments by name that calls may have.
        takes_masks: Whether its inputs lose their masks, for all that is called later;
            not in Keras 2.
        level: What is different from Keras, if anything.
        counters: How many whole numbers Keras keeps after the weights.
    """

    run: Callable[..., Any]
    options: Mapping[str, Option] = {}
    keeps_mask: bool = False
    kwargs: tuple[str, ...] = ()
    takes_masks: bool = False
    level: str = ""
    counters: int = 0
