"""What can be trained by name: a data set, a model, a learner and their defaults."""

from fdl.tasks.autoencoder import autoencoder as _autoencoder
from fdl.tasks.cnn import cnn as _cnn
from fdl.tasks.config import Config as Config
from fdl.tasks.config import NoOptions as NoOptions
from fdl.tasks.gan import gan as _gan
from fdl.tasks.language_model import language_model as _language_model
from fdl.tasks.loading import load as load
from fdl.tasks.measured import measured as measured
from fdl.tasks.mlp import mlp as _mlp
from fdl.tasks.mnist_fast import mnist_fast as _mnist_fast
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
        _mnist_fast,
        _rnn,
        _lstm,
        _gru,
        _autoencoder,
        _vae,
        _gan,
        _transformer,
        _language_model,
        _regress,
    )
}
"""All tasks, by name."""


def find(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.

    Example:
        >>> find("cnn").config(dataset="mnist-5k").epochs
        20
    """
    if name not in TASKS:
        raise ValueError(f"there is no task {name!r}; tasks: {', '.join(TASKS)}.")
    return TASKS[name]
