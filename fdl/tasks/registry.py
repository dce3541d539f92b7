"""All tasks, with their models: this imports JAX."""

from fdl.tasks.autoencoder import autoencoder
from fdl.tasks.catalog import describe
from fdl.tasks.cnn import cnn
from fdl.tasks.gan import gan
from fdl.tasks.language_model import language_model
from fdl.tasks.mlp import mlp
from fdl.tasks.mnist_fast import mnist_fast
from fdl.tasks.recurrent import gru, lstm, rnn
from fdl.tasks.task import Task
from fdl.tasks.transformer import transformer
from fdl.tasks.vae import vae

_ALL = (
    cnn,
    mlp,
    mnist_fast,
    rnn,
    lstm,
    gru,
    autoencoder,
    vae,
    gan,
    transformer,
    language_model,
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""All tasks, by name."""


def find(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.

    Example:
        >>> find("cnn").epochs["mnist"]
        5
    """
    return TASKS[describe(name).name]
