"""The image sizes that a model supports."""

from typing import NamedTuple

import flax.linen as linen


class Sizes(NamedTuple):
    """Supported heights and widths of images; the same limits hold for both.

    Attributes:
        smallest: Smallest number of pixels.
        largest: Largest number of pixels; None for no limit.
        multiple: Number that must divide the number of pixels.

    Example:
        >>> Sizes(18).allow(28), Sizes(4, multiple=4).allow(30), str(Sizes(7, 28, 7))
        (True, False, 'from 7x7 to 28x28 pixels, in multiples of 7')
    """

    smallest: int = 1
    largest: int | None = None
    multiple: int = 1

    def allow(self, pixels: int) -> bool:
        """Return whether a height or width is supported."""
        fits = self.largest is None or pixels <= self.largest
        return fits and pixels >= self.smallest and pixels % self.multiple == 0

    def __str__(self) -> str:
        """Return a description, as used in error messages."""
        low = f"from {self.smallest}x{self.smallest}"
        high = (
            " pixels to any size"
            if self.largest is None
            else f" to {self.largest}x{self.largest} pixels"
        )
        return (
            low
            + high
            + (f", in multiples of {self.multiple}" if self.multiple > 1 else "")
        )


def sizes(model: linen.Module) -> list[Sizes]:
    """Return the supported image sizes of a model and of the models in its fields.

    A model that does not support all sizes has an attribute or property `sizes`.

    Example:
        >>> from fdl.models import CNN, MLP
        >>> sizes(CNN(10)), sizes(MLP(10))
        ([Sizes(smallest=18, largest=None, multiple=1)], [])
    """
    own = getattr(model, "sizes", None)
    fields = model.__dataclass_fields__
    inner = [getattr(model, name, None) for name in fields if name != "parent"]
    return ([own] if isinstance(own, Sizes) else []) + [
        found
        for part in inner
        if isinstance(part, linen.Module)
        for found in sizes(part)
    ]
