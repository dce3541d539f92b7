"""What the autoencoder tasks share: their coders, and pictures of their latents."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from fdl import models
from fdl.arrays import Array, Batch
from fdl.data import Dataset, DatasetInfo, short_name
from fdl.tasks.options import Architecture
from fdl.tasks.task import Trained
from fdl.train import predict

Decode = Callable[[Array], Float[np.ndarray, "count height width channels"]]

_STEPS = 10  # of a walk from one image to the next


def coders(
    architecture: Architecture, hidden_sizes: tuple[int, ...], info: DatasetInfo
) -> dict[str, Any]:
    """Return the encoder and decoder for a data set, as arguments of the model."""
    height, width, channels = info.input_shape
    shape = (height, width, channels)
    if architecture == "conv":
        decoder = models.ConvDecoder(image_shape=shape)
        return {"encoder": models.ConvEncoder(), "decoder": decoder}
    decoder = models.DenseDecoder(hidden_sizes[::-1], image_shape=shape)
    return {"encoder": models.DenseEncoder(hidden_sizes), "decoder": decoder}


def decoder_of(trained: Trained) -> Decode:
    """Return a function that decodes latents into images in [0, 1]."""

    @jax.jit
    def decode(z: Array) -> Array:
        return jax.nn.sigmoid(
            trained.model.apply(trained.variables, z, method="decode")
        )

    return lambda z: np.asarray(decode(jnp.asarray(z, jnp.float32)))


def draw_codes(
    trained: Trained,
    dataset: Dataset,
    folder: Path,
    z: Float[np.ndarray, "examples latent"],
) -> None:
    """Draw a trained model's reconstructions and latents of test images.

    `reconstructions.png` has images above their reconstructions; `walk.png` goes in a
    straight line from one image to the next in latent space, or over a plane if there
    are only two latents; `latents.png` shows where the classes lie.

    Args:
        trained: The run.
        dataset: Its data.
        folder: Folder for the pictures.
        z: Latents of all test images.
    """
    from fdl import report  # imports matplotlib, which takes half a second

    decode, label = decoder_of(trained), np.asarray(dataset.test.label)
    draw_pairs(trained, folder / "reconstructions", dataset.test)
    if z.shape[-1] == 2:
        walk, columns = _plane(z), 2 * _STEPS
    else:
        first = _a_few_of_each(label, trained.info.num_classes, 1)[0]
        walk, columns = _lines(z[first]), _STEPS
    report.draw_images(folder / "walk", decode(walk), columns)

    points, names = _flatten(z)
    report.draw_scatter(
        folder / "latents",
        points,
        label,
        trained.info.class_names,
        axes_names=names,
        title=f"{trained.config.task}-{short_name(trained.info.name)}: "
        f"{trained.info.test_count:,} test images",
    )


def draw_pairs(trained: Trained, path: Path, given: Batch) -> None:
    """Write a picture of images, each above its reconstruction.

    Args:
        trained: The run.
        path: The file to write.
        given: Images of which to draw the first few of each class.
    """
    from fdl import report

    rows = _a_few_of_each(np.asarray(given.label), trained.info.num_classes, 4)
    images = np.asarray(given.image)[rows]
    rebuilt = predict(trained.learner, trained.state, np.concatenate(images))
    rebuilt = np.round(255 * rebuilt).astype(np.uint8).reshape(images.shape)
    # One row of images, one of reconstructions, and again.
    pairs = np.stack([images, rebuilt], axis=1).reshape(-1, *images.shape[2:])
    report.draw_images(path, pairs, columns=images.shape[1])


def _a_few_of_each(label: np.ndarray, classes: int, count: int) -> np.ndarray:
    """Return indices of the first examples, a column for each class that has enough."""
    fewest = int(np.bincount(label, minlength=classes).min())
    count = min(count, max(1, fewest))
    found = [np.flatnonzero(label == index)[:count] for index in range(classes)]
    return np.stack([rows for rows in found if len(rows) == count], axis=1)


def _lines(z: np.ndarray) -> np.ndarray:
    """Return points on lines from each latent to the next, and back to the first."""
    share = np.linspace(0, 1, _STEPS)[:, None]
    pairs = zip(z, np.roll(z, -1, axis=0), strict=True)
    return np.concatenate([(1 - share) * a[None] + share * b[None] for a, b in pairs])


def _plane(z: np.ndarray) -> np.ndarray:
    """Return a grid over the range of the latents, from the top left."""
    low, high = np.quantile(z, [0.02, 0.98], axis=0)
    across = np.linspace(low[0], high[0], 2 * _STEPS)
    down = np.linspace(high[1], low[1], 2 * _STEPS)
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def _flatten(z: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """Return latents in two dimensions: unchanged, or as principal components."""
    if z.shape[-1] == 2:
        return z, ("latent 1", "latent 2")
    centered = z - z.mean(axis=0, keepdims=True)
    _, _, components = np.linalg.svd(centered, full_matrices=False)
    return centered @ components[:2].T, (
        "first principal component of the latents",
        "second",
    )
