"""Classic deep learning as pure functions in JAX: the Keras models, trained fast.

A model is a pure function. A learner is a few pure functions. Everything else (scan,
vmap, shard, checkpoint, compare with Keras) is a transformation of those.

Names are imported when they are first used, so that `fdl --help` need not wait for JAX.
"""

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdl import data as data
    from fdl import keras as keras
    from fdl import learners as learners
    from fdl import losses as losses
    from fdl import metrics as metrics
    from fdl import models as models
    from fdl import nn as nn
    from fdl import ops as ops
    from fdl import report as report
    from fdl import runs as runs
    from fdl import tasks as tasks
    from fdl import train as train
    from fdl.arrays import Batch as Batch
    from fdl.arrays import Tokens as Tokens
    from fdl.learner import Learner as Learner
    from fdl.learner import State as State
    from fdl.runs import load as load
    from fdl.train import DivergenceError as DivergenceError
    from fdl.train import EarlyStopping as EarlyStopping
    from fdl.train import ensemble as ensemble
    from fdl.train import evaluate as evaluate
    from fdl.train import fit as fit
    from fdl.train import fit_many as fit_many
    from fdl.train import member as member
    from fdl.train import predict as predict
    from fdl.train import predict_many as predict_many

__version__ = _version("fdl")

_NAMES = {
    "fdl.arrays": ("Batch", "Tokens"),
    "fdl.learner": ("Learner", "State"),
    "fdl.runs": ("load",),
    "fdl.train": (
        "DivergenceError",
        "EarlyStopping",
        "ensemble",
        "evaluate",
        "fit",
        "fit_many",
        "member",
        "predict",
        "predict_many",
    ),
}
_ROOMS = (
    *("data", "keras", "learners", "losses", "metrics", "models"),
    *("nn", "ops", "report", "runs", "tasks", "train"),
)
_PLACES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a room, or a name from one, when it is first used."""
    if name in _ROOMS:
        return importlib.import_module(f"fdl.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'fdl' has no attribute {name!r}")
    found = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted((*_ROOMS, *_PLACES, "__version__"))
