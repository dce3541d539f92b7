"""What can be trained by name: a data set, a model, a learner and their defaults."""

import warnings

from fdl.listing import public as _public
from fdl.tasks.autoencoder import autoencoder as _autoencoder
from fdl.tasks.classify import classify as _classify
from fdl.tasks.cnn import cnn as _cnn
from fdl.tasks.config import Config as Config
from fdl.tasks.config import NoOptions as NoOptions
from fdl.tasks.gan import gan as _gan
from fdl.tasks.language_model import language_model as _language_model
from fdl.tasks.loading import load as load
from fdl.tasks.measured import measured as measured
from fdl.tasks.mlp import mlp as _mlp
from fdl.tasks.mnist_fast import mnist_fast as _mnist_fast
from fdl.tasks.own import OwnModel as OwnModel
from fdl.tasks.own import import_named as import_named
from fdl.tasks.own import installed as _installed
from fdl.tasks.own import load_installed as _load_installed
from fdl.tasks.own import require_task as _require_task
from fdl.tasks.own import with_model as with_model
from fdl.tasks.recurrent import gru as _gru
from fdl.tasks.recurrent import lstm as _lstm
from fdl.tasks.recurrent import rnn as _rnn
from fdl.tasks.regress import regress as _regress
from fdl.tasks.task import ExportedModel as ExportedModel
from fdl.tasks.task import Sampling as Sampling
from fdl.tasks.task import Task as Task
from fdl.tasks.task import Trained as Trained
from fdl.tasks.task import draw_state as draw_state
from fdl.tasks.task import make_learner as make_learner
from fdl.tasks.task import outline as outline
from fdl.tasks.transformer import transformer as _transformer
from fdl.tasks.vae import vae as _vae

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _cnn,
        _mlp,
        _regress,
        _mnist_fast,
        _rnn,
        _lstm,
        _gru,
        _autoencoder,
        _vae,
        _gan,
        _transformer,
        _language_model,
        _classify,
    )
}
"""fdl's own tasks, by name."""


def names() -> tuple[str, ...]:
    """Return the names of all tasks: fdl's own, and those of installed packages."""
    return (*TASKS, *(name for name in _installed() if name not in TASKS))


def known() -> list[Task]:
    """Return all tasks, with a warning for those of other packages that are broken."""
    found = []
    for name in names():
        try:
            found.append(find(name))
        except ValueError as error:
            warnings.warn(f"task {name!r} is left out: {error}", stacklevel=2)
    return found


def find(name: str, own: str | Task | None = None) -> Task:
    """Return the task of that name.

    Args:
        name: One of fdl's own, or of those that installed packages add.
        own: A task of the caller's, or `MODULE:NAME` of one, which has to have the
            name.

    Raises:
        ValueError: If there is none; the message lists those there are.

    Example:
        >>> find("cnn").config(dataset="mnist-5k").epochs
        20
    """
    if own is not None:
        task = _require_task(own)
        if task.name != name:
            raise ValueError(f"the run is of task {name!r}, not of {task.name!r}.")
        return task
    if name in TASKS:
        return TASKS[name]
    others = _installed()
    if name not in others:
        raise ValueError(
            f"there is no task {name!r}; tasks: {', '.join(names())}. One of yours is "
            "named with --task MODULE:NAME (from Python, task=...)."
        )
    return _load_installed(others[name])


def own_task(reference: str | Task) -> Task:
    """Return a task of the caller's, which must not have the name of one of fdl's.

    Raises:
        ValueError: If it has, or is no task.
    """
    task = _require_task(reference)
    if task.name in TASKS and TASKS[task.name] is not task:
        raise ValueError(f"fdl has a task {task.name!r} already: give yours another.")
    return task


__dir__ = _public(__name__)
