"""What a TextCNN has learned: the phrases that activate its strongest filters most."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from fdl.arrays import Array, PyTree
from fdl.data import Dataset
from fdl.models import TextCNN
from fdl.models.textcnn import any_in_window
from fdl.tasks.classification import title_of
from fdl.tasks.task import Trained

_FILTERS, _PHRASES = 5, 4  # shown for each class, and for each filter
_TEXTS = 500  # processed at a time


class Excited(NamedTuple):
    """How strongly each text activates each filter, and where.

    Attributes:
        value: Largest activation of the filter in the text.
        place: Index of the word where its window begins; negative before the first.
    """

    value: Float[Array, "texts filters"]
    place: Int[Array, "texts filters"]


def write_phrases(trained: Trained, dataset: Dataset, folder: Path) -> None:
    """Write `phrases.html`: what activates the strongest filters for each class.

    A filter speaks for the class with its largest weight. Its strength is how far that
    weight is above its mean weight, times the standard deviation of its activations
    over the test texts.
    """
    from fdl import report  # imports matplotlib, which takes half a second

    info, model = trained.info, trained.model
    token = np.asarray(dataset.test.token)
    read = jax.jit(lambda variables, token: excited(model, variables, token))
    parts = [
        read(trained.variables, token[first : first + _TEXTS])
        for first in range(0, len(token), _TEXTS)
    ]
    value, place = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    params: Any = trained.variables["params"]
    kernel = np.asarray(params["head"]["kernel"])
    strength = (kernel - kernel.mean(axis=1, keepdims=True)) * value.std(axis=0)[
        :, None
    ]
    speaks_for = strength.argmax(axis=1)
    tables = {}
    for label, name in enumerate(info.class_names):
        own = np.flatnonzero(speaks_for == label)
        own = own[np.argsort(-strength[own, label], kind="stable")][:_FILTERS]
        tables[name] = [
            _row(model, int(one), token, value, place, info.vocabulary) for one in own
        ]
    facts = {
        "test texts": f"{len(token):,}",
        "filters": f"{value.shape[1]:,}",
        "for each class": f"its {_FILTERS} strongest filters, strongest first",
    }
    title = f"{title_of(trained)}: phrases that activate filters most"
    report.write_page(folder / "phrases.html", title, facts, tables, {})


def excited(
    model: TextCNN, variables: PyTree, token: Int[Array, "texts time"]
) -> Excited:
    """Return how strongly texts activate the filters of a TextCNN, and where.

    Example:
        >>> model = TextCNN(2, vocab_size=9, widths=(2,), maps=3)
        >>> token = jnp.array([[5, 3, 0, 0]])
        >>> found = excited(model, jax.jit(model.init)(jax.random.key(0), token), token)
        >>> found.value.shape, bool((found.place >= -1).all() & (found.place < 2).all())
        ((1, 3), True)
    """
    convolutions = {f"conv{n}": width for n, width in enumerate(model.widths, 1)}
    applied: Any = model.apply(
        variables,
        token,
        capture_intermediates=lambda module, _: module.name in convolutions,
    )
    border = max(model.widths) - 1
    real = jnp.pad(token != model.pad_token, [(0, 0), (border, border)])
    found = []
    for name, width in convolutions.items():
        (maps,) = applied[1]["intermediates"][name]["__call__"]
        maps = jnp.where(any_in_window(real, width)[..., None], maps, -jnp.inf)
        found.append(Excited(jnp.max(maps, axis=1), jnp.argmax(maps, axis=1) - border))
    values, places = zip(*found, strict=True)
    value = jnp.maximum(jnp.concatenate(values, axis=1), 0)
    return Excited(value, jnp.concatenate(places, axis=1))


def _row(
    model: Any,
    one: int,
    token: np.ndarray,
    value: np.ndarray,
    place: np.ndarray,
    vocabulary: tuple[str, ...],
) -> dict[str, str]:
    """Return the row of a filter: its width, and the phrases that activate it most."""
    width = model.widths[one // model.maps]
    phrases: dict[str, None] = {}
    for text in np.argsort(-value[:, one], kind="stable"):
        if len(phrases) == _PHRASES or value[text, one] <= 0:
            break
        first = int(place[text, one])
        window = token[text, max(0, first) : first + width]
        phrases[" ".join(vocabulary[word] for word in window if word)] = None
    shown = [*phrases, *[""] * _PHRASES][:_PHRASES]
    named = {f"phrase {rank}": phrase for rank, phrase in enumerate(shown, 1)}
    return {"filter": f"{one % model.maps + 1} of {width} words", **named}
