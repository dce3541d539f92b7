"""Keras and TensorFlow, imported when a test first looks into them.

They take 0.7 GB and four seconds: of the processes that share the tests, only that pays
which is given those that compare with Keras.
"""

import importlib
from typing import Any


class Lazily:
    """A module, imported when an attribute of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # What pytest asks of every name in a module of tests.
        if attribute.startswith(("_", "pytest")):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


keras, tf = Lazily("keras"), Lazily("tensorflow")
