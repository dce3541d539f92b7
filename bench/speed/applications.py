"""Write a model of `keras.applications`, with random weights, for fdl to import.

python -m bench.speed.applications NAME FILE
"""

import os
import sys
from typing import Any

CLASSES = 10


def application(name: str, side: int = 64) -> Any:
    """Return a new model for square photographs with `side` pixels a side."""
    import keras

    return keras.applications.__dict__[name](
        weights=None,
        input_shape=(side, side, 3),
        classes=CLASSES,
        classifier_activation=None,
    )


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    application(sys.argv[1]).save(sys.argv[2])
