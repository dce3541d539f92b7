"""Class weights, from text to numbers."""

import dataclasses
import math

import numpy as np

from fdl.data import Dataset
from fdl.tasks.config import Config


def with_class_weights(config: Config, dataset: Dataset) -> Config:
    """Return settings whose class weights are numbers, in the order of the classes.

    `"balanced"` becomes, for each class, `examples / (classes * examples of the class)`
    of the training set (King & Zeng, 2001), as in scikit-learn. Text such as
    `"cat=2,dog=0.5"` gives each class that it names its weight, and 1 to all others.

    Raises:
        ValueError: If a class is unknown, a weight is not a number of at least 0, or a
            class to balance has no examples.

    Example:
        >>> import fdl
        >>> dataset = fdl.data.load("mnist-5k")
        >>> config = fdl.tasks.find("cnn").config(class_weights="7=2")
        >>> with_class_weights(config, dataset).class_weights[6:8]
        (1.0, 2.0)
    """
    words, info = config.class_weights, dataset.info
    if not isinstance(words, str) or not words:
        return config
    if words == "balanced":
        label = np.asarray(dataset.train.label)
        counts = np.bincount(label, minlength=info.num_classes)
        if not counts.all():
            empty = info.class_names[int(counts.argmin())]
            raise ValueError(
                f"class_weights='balanced': the training set has no example of class "
                f"{empty!r}; give weights by name."
            )
        weights = len(label) / (info.num_classes * counts)
    else:
        weights = np.ones(info.num_classes)
        for word in words.split(","):
            name, _, text = word.rpartition("=")
            if name not in info.class_names:
                raise ValueError(
                    f"class_weights={words!r}: there is no class {name!r}; write "
                    "'balanced' or NAME=WEIGHT,NAME=WEIGHT with names among "
                    f"{', '.join(info.class_names)}."
                )
            weights[info.class_names.index(name)] = _number(words, text)
    return dataclasses.replace(config, class_weights=tuple(map(float, weights)))


def _number(words: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(
            f"class_weights={words!r}: {text!r} must be a number of at least 0."
        )
    return number
