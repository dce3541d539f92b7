"""What settings are made of, without JAX: help and complaints have to come at once."""

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
        """An array without axes, or a traced one."""


Number = float | Scalar
"""A hyperparameter: a Python number, which is validated, or an array or traced scalar,
whose value can change without recompiling and is not looked at."""

Strategy = Literal["vmap", "map"]
"""How members become one program: side by side in every operation (`jax.vmap`), or one
after the other (`jax.lax.map`)."""

Shard = Literal["batch", "batch+state"]
"""What of a training is spread over several devices: each batch, or the state too."""

Kind = Literal["image", "vector", "number", "text", "document", "pair", "music"]
"""What examples are, and so which tasks take them."""

KINDS: dict[Kind, str] = {
    "image": "images with classes",
    "vector": "rows of numbers with classes",
    "number": "rows with a number to predict",
    "text": "text",
    "document": "texts with classes",
    "pair": "texts that become other texts",
    "music": "pieces of music",
}
"""What people call them."""

Predicts = Literal["classes", "numbers", "images", "sequences", "nothing"]
"""What a trained task answers to an input."""

Fit = Literal["pad", "crop", "digit"]
"""How images of another size are brought to that of a dataset."""

FITS: tuple[Fit, ...] = get_args(Fit)

PictureFormat = Literal["png", "svg", "pdf"]
"""What a picture can be written as."""

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
"""The datasets that are known without a place, and how many training examples they
have, about: their exact numbers are in `fdl.data`."""

SHARE = 1 / 6
"""Share of the published training examples that `fdl.data.load` holds out."""


def is_concrete(x: Any) -> bool:
    """Return whether a hyperparameter's value can be read while tracing.

    Example:
        >>> is_concrete(0.5)
        True
    """
    jax = sys.modules.get("jax")  # without it, nothing is an array of its
    return jax is None or not isinstance(x, jax.Array)


def is_on(setting: Number | None) -> bool:
    """Return whether a setting may have an effect: 0 and None turn it off.

    Example:
        >>> is_on(0.5), is_on(0.0), is_on(None)
        (True, False, False)
    """
    return setting is not None and not (is_concrete(setting) and setting == 0)


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return a complaint about a name that is not known, with the nearest that is.

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
    """Return the known name that looks most like another; None if none does.

    Example:
        >>> nearest("fashion-MNIST", ["mnist", "fashion_mnist"])
        'fashion_mnist'
    """
    plain = lambda word: word.lower().replace("_", "-")
    words = {plain(word): word for word in known}
    found = difflib.get_close_matches(plain(name), words, n=1)
    return words[found[0]] if found else None


CHECKPOINT_MINUTES = 10.0
"""Time between two checkpoints within an epoch, unless something else is asked for."""
