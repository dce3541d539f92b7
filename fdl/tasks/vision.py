"""Pictures of convolutional classifiers: kernels, feature and activation maps."""

from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from fdl.arrays import Array, PyTree, unit_scale
from fdl.data import Dataset
from fdl.models import class_activation_map
from fdl.programs import program
from fdl.tasks.classification import draw_mistakes, is_seen, title_of
from fdl.tasks.task import Trained

_MOST = 10  # images with maps
_LEAST = 4  # pixels per side of a map that can locate a class


def draw_what_it_sees(
    trained: Trained, dataset: Dataset, folder: Path, *, looks: bool = True
) -> dict[str, float]:
    """Write pictures of what a model with feature maps has learned.

    - `confusion` and `mistakes`: see `draw_mistakes`.
    - `kernels`: those of its first convolution.
    - `features`: the feature maps of the first test image.
    - `activation`: class activation maps of the predicted classes, for a test image of
      each class, if it `looks`.
    """
    from fdl import report  # imports matplotlib, which takes half a second

    measures = draw_mistakes(trained, dataset, folder)
    if not is_seen(trained.info):
        return measures
    name, names = title_of(trained), trained.info.class_names
    kernel = first_kernel(trained.variables["params"], trained.info.input_shape[-1])
    if kernel is not None:
        report.draw_kernels(folder / "kernels", kernel, title=name)
    label = np.asarray(dataset.test.label)
    _, first = np.unique(label, return_index=True)
    chosen = np.concatenate([[0], first[:_MOST]])
    images = np.asarray(dataset.test.image)[chosen]
    look: Any = program(_look, trained.model, looks, once=True)
    stages, guess, maps = look(trained.variables, unit_scale(images))
    of_one = {stride: x[0] for stride, x in stages.items()}
    report.draw_features(folder / "features", images[0], of_one, title=name)
    if looks:
        pairs = zip(label[chosen], np.asarray(guess), strict=True)
        says = [
            names[true] if true == taken else f"{names[true]}\n→ {names[taken]}"
            for true, taken in pairs
        ]
        report.draw_activation_maps(
            folder / "activation",
            images[1:],
            maps[1:],
            says[1:],
            title=f"{name}: class activation maps of the predicted classes",
        )
    return measures


def first_kernel(params: PyTree, channels: int) -> Array | None:
    """Return the kernels over the image itself; None if no convolution reads it.

    Example:
        >>> params = {"conv": {"kernel": np.ones((3, 3, 1, 8))}, "head": {}}
        >>> first_kernel(params, 1).shape
        (3, 3, 1, 8)
    """
    arrays: Any = flatten_dict(params)
    return next(
        (
            x
            for (*_, name), x in arrays.items()
            if name == "kernel" and x.ndim == 4 and x.shape[2] == channels
        ),
        None,
    )


def _look(model: Any, looks: bool, variables: PyTree, image: Array) -> tuple[Any, ...]:
    """Return feature maps, predicted classes and, if it `looks`, their maps."""
    stages = model.apply(variables, image, method="features")
    guess = model.apply(variables, image).argmax(axis=-1)
    if not looks:
        return stages, guess, None
    large = [stride for stride, x in stages.items() if min(x.shape[1:3]) >= _LEAST]
    stride = large[-1] if large else next(iter(stages))
    maps = class_activation_map(model, variables, image, guess, stride=stride)
    return stages, guess, maps
