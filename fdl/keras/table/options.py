"""Checks of the options of layers in files.

A check returns the value in a canonical form, or raises ValueError with a predicate for
it, such as `"must be True or False"`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from fdl.keras.graph.description import Layer, Options, freeze
from fdl.keras.table import activations, initializers, regularizers
from fdl.untrusted import shortened

Check = Callable[[Any], Any]
REQUIRED = object()
_MOST = 1 << 31
MOST_REPEATED = 4096
"""Limit of options that determine how many operations a layer consists of."""


class Option(NamedTuple):
    """An option of a layer.

    Attributes:
        check: Returns its value in a canonical form, or raises ValueError.
        default: Its value if a file does not have it.
    """

    check: Check
    default: Any = REQUIRED


class NeedsLayer(NamedTuple):
    """The value of an option that is a layer, before it has been read."""

    config: Any


def whole(low: int = 1, high: int = _MOST - 1) -> Check:
    """Accept an integer in a range."""
    limit = "" if high == _MOST - 1 else f" and at most {high:,}"

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be an integer, at least {low}{limit}")
        return value

    return check


def number(low: int | float = -math.inf, high: int | float = math.inf) -> Check:
    """Accept a finite number in a range."""

    def check(value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError("must be a finite number")
        if not low <= value <= high:
            raise ValueError(f"must be in [{low:g}, {high:g}]")
        return float(value)

    return check


def flag(value: Any) -> bool:
    """Accept True or False."""
    if type(value) is not bool:
        raise ValueError("must be True or False")
    return value


def choice(*values: Any) -> Check:
    """Accept only some values."""

    def check(value: Any) -> Any:
        value = freeze(value)
        if not any(value == each and type(value) is type(each) for each in values):
            raise ValueError(f"must be {' or '.join(map(repr, values))}")
        return value

    return check


def anything(value: Any) -> None:
    """Accept and drop any value of an option that has no effect."""


def optional(check: Check) -> Check:
    """Accept None as well."""
    return lambda value: None if value is None else check(value)


def several(check: Any, count: int | None = None) -> Check:
    """Accept a list of values, or one value for all of `count`."""

    def check_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            return (check(value),) * (1 if count is None else count)
        if count is not None and len(value) != count:
            raise ValueError(f"must have {count} values")
        return tuple(check(each) for each in value)

    return check_all


def either(*checks: Check) -> Check:
    """Accept any value that one of the checks accepts."""

    def check(value: Any) -> Any:
        for each in checks[:-1]:
            try:
                return each(value)
            except ValueError:
                continue
        return checks[-1](value)

    return check


def text(value: Any) -> str:
    """Accept a string."""
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("must be a string of at most 200 characters")
    return value


def pads(axes: int) -> Check:
    """Accept the padding before and after each of some axes."""
    count = whole(0)

    def check(value: Any) -> tuple[tuple[int, int], ...]:
        if type(value) is int:
            return ((count(value),) * 2,) * axes
        if axes == 1 and isinstance(value, list | tuple) and len(value) == 2:
            return (tuple(several(count, 2)(value)),)
        if not isinstance(value, list | tuple) or len(value) != axes:
            raise ValueError(f"must have {axes} values")
        return tuple(several(count, 2)(each) for each in value)

    return check


def layer(value: Any) -> NeedsLayer | Layer:
    """Accept a layer; a config is left for `LayerReader` to read."""
    if not isinstance(value, dict | Layer):
        raise ValueError("must be a layer")
    return value if isinstance(value, Layer) else NeedsLayer(value)


def activation(value: Any) -> Any:
    """Accept the name of an activation, or a layer that serves as one."""
    if isinstance(value, dict) and value.get("module") in ("keras.layers",):
        return layer(value)
    return activations.check(value)


def _not_adapted(value: Any) -> None:
    if value is not None:
        raise ValueError(
            "adds low-rank weights (LoRA): assign layer.kernel, or layer.embeddings, "
            "which contains them, to a layer that was never adapted, and save that"
        )


SEED = Option(anything, None)
ADAPTED = {
    "lora_rank": Option(_not_adapted, None),
    "lora_alpha": Option(anything, None),
}
ACTIVATION = Option(activation, "linear")


def weight(name: str, initializer: Any) -> dict[str, Option]:
    """Return the options of a weight."""
    regularizer = Option(optional(regularizers.check), None)
    return {
        f"{name}_initializer": Option(initializers.check, initializer),
        f"{name}_regularizer": regularizer,
        f"{name}_constraint": Option(optional(regularizers.check_constraint), None),
    }


KERNEL = weight("kernel", "GlorotUniform")
BIAS = {"use_bias": Option(flag, True), **weight("bias", "Zeros")}
ACTIVITY = Option(optional(regularizers.check), None)


def checked(known: dict[str, Option], given: dict[str, Any]) -> Options:
    """Return all options of a layer, with defaults for those that are not given.

    Args:
        known: The options of its class.
        given: The options in a file.

    Raises:
        ValueError: If an option is unknown or missing, or its value is not supported.
    """
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"has an unknown option {name}={_shown(value)}")
    found = {}
    for name, (check, default) in known.items():
        if name not in given and default is REQUIRED:
            raise ValueError(f"lacks the option {name}")
        value = given.get(name, default)
        try:
            found[name] = check(value)
        except ValueError as error:
            raise ValueError(f"has {name}={_shown(value)}, which {error}") from None
    return freeze(found)


def _shown(value: Any) -> str:
    """Return a value for a message: a class or a function by its name."""
    if isinstance(value, dict) and "class_name" in value:
        is_function = value["class_name"] == "function"
        known_as = value.get("config") if is_function else value.get("registered_name")
        value = known_as or value["class_name"]
    return shortened(repr(value), 80)
