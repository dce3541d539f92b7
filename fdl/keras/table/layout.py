"""Layers that support channels last and channels first."""

from typing import Any

import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import ACTIVATION, Option, choice


def _format(value: Any) -> str:
    return choice("channels_last", "channels_first")(value or "channels_last")


DATA_FORMAT = {"data_format": Option(_format, "channels_last")}


def is_first(run: Run) -> bool:
    """Return whether a layer has its channels first."""
    return run.options["data_format"] == "channels_first"


def either_layout(entry: Entry, activates: bool = False) -> Entry:
    """Let a layer that computes with channels last support channels first as well.

    Args:
        entry: The layer with channels last.
        activates: Whether it has an activation, which Keras applies in the original
            layout.
    """

    def run_layout(run: Run, x: Array, *args: Any, **kwargs: Any) -> Array:
        first = is_first(run)
        y = entry.run(run, jnp.moveaxis(x, 1, -1) if first else x, *args, **kwargs)
        y = jnp.moveaxis(y, -1, 1) if first else y
        return run.activation(y) if activates else y

    options = {**entry.options, **DATA_FORMAT}
    if activates:
        options["activation"] = ACTIVATION
    return entry._replace(run=run_layout, options=options)
