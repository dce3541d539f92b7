"""All tasks, with their models; importing this imports JAX."""

from importlib.metadata import EntryPoint

from fdl.tasks.alexnet import alexnet
from fdl.tasks.autoencoder import autoencoder
from fdl.tasks.catalog import require_known
from fdl.tasks.classify import classify
from fdl.tasks.cnn import cnn
from fdl.tasks.densenet import densenet
from fdl.tasks.gan import gan
from fdl.tasks.googlenet import googlenet
from fdl.tasks.installed import GROUP, installed
from fdl.tasks.language_model import language_model
from fdl.tasks.lenet5 import lenet5
from fdl.tasks.mlp import mlp
from fdl.tasks.mnist_fast import mnist_fast
from fdl.tasks.music import music
from fdl.tasks.own import require_task
from fdl.tasks.recurrent import gru, lstm, rnn
from fdl.tasks.regress import regress
from fdl.tasks.resnet import resnet
from fdl.tasks.task import Task
from fdl.tasks.text_classifier import text_classifier
from fdl.tasks.textcnn import textcnn
from fdl.tasks.transformer import transformer
from fdl.tasks.translation import attention, seq2seq, translator
from fdl.tasks.vae import vae
from fdl.tasks.vgg import vgg

_ALL = (
    cnn,
    lenet5,
    alexnet,
    vgg,
    googlenet,
    resnet,
    densenet,
    mlp,
    regress,
    mnist_fast,
    rnn,
    lstm,
    gru,
    autoencoder,
    vae,
    gan,
    transformer,
    language_model,
    music,
    textcnn,
    text_classifier,
    seq2seq,
    attention,
    translator,
    classify,
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""fdl's own tasks, by name."""


def find(name: str, own: str | Task | None = None) -> Task:
    """Return the task of that name.

    Args:
        name: Name of one of fdl's own tasks, or of a task of an installed package.
        own: The caller's own task, or `MODULE:NAME` of it, which must have that name.

    Raises:
        ValueError: If there is no such task; the message lists the known ones.

    Example:
        >>> find("cnn").config(dataset="mnist-5k").epochs
        20
    """
    if own is not None:
        task = require_task(own)
        if task.name != name:
            raise ValueError(f"the run is of task {name!r}, not {task.name!r}.")
        return task
    if name in TASKS:
        return TASKS[name]
    require_known(name)
    return _load(installed()[name])


def _load(entry: EntryPoint) -> Task:
    """Return the task of another package.

    Raises:
        ValueError: If it cannot be imported, is not a task, or has another name.
    """
    task = require_task(entry.value)
    if task.name != entry.name:
        raise ValueError(
            f"the entry point {entry.name!r} of {GROUP} is for a task that is named "
            f"{task.name!r}: give both the same name."
        )
    return task
