"""Types and names of settings, without JAX: help and errors must appear at once."""

import difflib
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import jax
    from jaxtyping import Float

    Scalar = Float[jax.Array, ""]
else:

    class _NoAxes(type):
        def __instancecheck__(cls, x: Any) -> bool:
            return getattr(x, "shape", None) == ()

    class Scalar(metaclass=_NoAxes):
        """A scalar array, concrete or traced."""


Number = float | Scalar
"""A hyperparameter: a Python number, which is validated, or a scalar array or tracer,
whose value can change without recompiling and is not validated."""

Strategy = Literal["vmap", "map"]
"""How one program runs all members: together in every operation (`jax.vmap`), or one
after the other (`jax.lax.map`)."""

Shard = Literal["batch", "batch+state"]
"""What is sharded over several devices: each batch alone, or the state too."""

Kind = Literal["image", "vector", "number", "text", "document", "pair", "music"]
"""Type of examples, which decides the tasks that take them."""

KINDS: dict[Kind, str] = {
    "image": "images with classes",
    "vector": "rows of numbers with classes",
    "number": "rows with a number to predict",
    "text": "text",
    "document": "texts with classes",
    "pair": "texts that become other texts",
    "music": "pieces of music",
}
"""Description of each kind."""

Predicts = Literal["classes", "numbers", "images", "sequences", "nothing"]
"""What a trained task predicts."""

Fit = Literal["pad", "crop", "digit"]
"""How images of another size are fitted to that of a dataset."""

FITS: tuple[Fit, ...] = get_args(Fit)

PictureFormat = Literal["png", "svg", "pdf"]
"""File format of a picture."""

PICTURE_FORMATS: tuple[PictureFormat, ...] = get_args(PictureFormat)

DATASETS = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "mnist-5k": 4_000,
    "python-docs": 2_600,
    "kmnist": 60_000,
    "emnist-byclass": 697_932,
    "emnist-bymerge": 697_932,
    "emnist-balanced": 112_800,
    "emnist-letters": 124_800,
    "emnist-digits": 240_000,
    "emnist-mnist": 60_000,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "svhn": 73_257,
    "trec": 5_452,
    "mr": 9_595,
    "subj": 9_000,
    "cmudict": 117_988,
    "multi30k-de-en": 29_000,
    "dates": 40_000,
    "jsb": 229,
    "nottingham": 694,
}
"""The datasets known by name, and their approximate number of training examples;
`fdl.data` has the exact numbers."""

SHARE = 1 / 6
"""Share of the published training examples that `fdl.data.load` holds out."""


def is_concrete(x: Any) -> bool:
    """Return whether a hyperparameter's value can be read while tracing.

    Example:
        >>> is_concrete(0.5)
        True
    """
    jax = sys.modules.get("jax")  # until it is imported, there are no JAX arrays
    return jax is None or not isinstance(x, jax.Array)


def is_on(setting: Number | None) -> bool:
    """Return whether a setting may have an effect: 0 and None turn it off.

    Example:
        >>> is_on(0.5), is_on(0.0), is_on(None)
        (True, False, False)
    """
    return setting is not None and not (is_concrete(setting) and setting == 0)


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return an error message for an unknown name, with the closest known one.

    Example:
        >>> unknown("task", "CN", ["cnn", "mlp"])
        "there is no task 'CN'; did you mean 'cnn'? tasks: cnn, mlp."
        >>> unknown("task", "tree", ["cnn", "mlp"])
        "there is no task 'tree'; tasks: cnn, mlp."
    """
    near = nearest(name, known)
    guess = "" if near is None else f" did you mean {near!r}?"
    return f"there is no {kind} {name!r};{guess} {kind}s: {', '.join(known)}."


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name closest to a given one; None if none is close.

    Example:
        >>> nearest("fashion-MNIST", ["mnist", "fashion_mnist"])
        'fashion_mnist'
    """
    plain = lambda word: word.lower().replace("_", "-")
    words = {plain(word): word for word in known}
    found = difflib.get_close_matches(plain(name), words, n=1)
    return words[found[0]] if found else None


CHECKPOINT_MINUTES = 10.0
"""Default time between checkpoints within an epoch."""
