"""Keras and TensorFlow, imported on first use.

They take 0.7 GB and four seconds, which only the one test process that compares with
Keras should pay.
"""

import importlib
from typing import Any


class Lazily:
    """A module that is imported when one of its attributes is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # pytest reads these attributes of every name in a test module.
        if attribute.startswith(("_", "pytest")):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


keras, tf = Lazily("keras"), Lazily("tensorflow")
