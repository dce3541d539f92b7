"""The user's own models and tasks, which only the caller names, never a file."""

import dataclasses
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import jax

from fdl.data import DatasetInfo, example
from fdl.tasks.config import Config
from fdl.tasks.options import OwnModel
from fdl.tasks.task import Task
from fdl.weights import WeightsError

KERAS_FILES = (".keras", ".h5")
"""Extensions of Keras files."""


def import_named(reference: str) -> Any:
    """Import what `MODULE:NAME` names, with the working directory on the path.

    Raises:
        ValueError: If it does not exist, or its module cannot be imported.

    Example:
        >>> import_named("math:pi")
        3.141592653589793
    """
    module, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError(
            f"{reference!r} does not have the form MODULE:NAME, such as "
            "my_module:make_model."
        )
    here = os.getcwd()
    if here not in sys.path:  # as `python -m` does
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise ValueError(
            f"{reference!r}: {module} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{reference!r}: {module} has no {name}.")
        found = getattr(found, part)
    return found


def require_task(reference: str | Task) -> Task:
    """Return a task, or the one that `MODULE:NAME` names.

    Raises:
        ValueError: If that is not a task.
    """
    found = import_named(reference) if isinstance(reference, str) else reference
    if not isinstance(found, Task):
        raise ValueError(f"{reference!r} is {_kind(found)}, not an fdl.tasks.Task.")
    return found


def own_task(reference: str | Task) -> Task:
    """Return the caller's own task, which must not have the name of a task of fdl.

    Raises:
        ValueError: If the name is taken, or this is not a task.
    """
    from fdl.tasks.registry import TASKS

    task = require_task(reference)
    if task.name in TASKS and TASKS[task.name] is not task:
        raise ValueError(
            f"fdl has a task {task.name!r} already: give yours another name."
        )
    return task


def with_model(task: Task, model: Any, *, recorded: str = "") -> Task:
    """Return a task with the caller's model, if it takes one.

    Args:
        task: The task.
        model: A Linen module, or a function of `num_classes` that returns one; or
            `MODULE:NAME`, which is imported, or a Keras file; None for the task's own
            model, if it has one.
        recorded: Name of the model in a run's records, which is compared but never
            imported.

    Raises:
        ValueError: If the task needs a model and gets none, has its own and gets
            another, or the model is not the recorded one.
    """
    if not isinstance(task.options, OwnModel):
        if model:
            raise ValueError(
                f"task {task.name!r} has its own model: leave out {model!r}."
            )
        return task
    needed = type(task.options) is OwnModel or recorded
    if model is None or model == "":
        if not needed:
            return task
        known = f"the run's is {recorded!r}, and fdl never imports what a file names"
        raise ValueError(
            f"task {task.name!r} trains your own model"
            f"{f'; {known}' if recorded else ''}: name it with --model "
            f"{recorded or 'my_module:make_model'} (from Python, model=...)."
        )
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    name = model if isinstance(model, str) else _name_of(model)
    is_file = name.endswith(KERAS_FILES) and recorded.endswith(KERAS_FILES)
    if recorded and name and not is_file and _local(name) != _local(recorded):
        raise ValueError(f"the run trained the model {recorded!r}, not {name!r}.")
    name = name or recorded or type(model).__name__
    thing = _named(model) if isinstance(model, str) else model
    own = dataclasses.replace(task.options, model=name)

    def make_model(options: Any, info: DatasetInfo) -> Any:
        for field in dataclasses.fields(own):
            said = getattr(options, field.name)
            if isinstance(said, jax.Array) or said != getattr(own, field.name):
                raise ValueError(
                    f"{field.name}={said!r} is for the default model of task "
                    f"{task.name!r}, not for {name}: leave one of them out."
                )
        return _build(name, thing, info)

    return dataclasses.replace(task, options=own, make_model=make_model)


def file_of_model(config: Config) -> str | None:
    """Return the Keras file that a run's model is from, if there is one."""
    options = config.options
    named = options.model if isinstance(options, OwnModel) else ""
    return named if named.endswith(KERAS_FILES) else None


def _named(reference: str) -> Any:
    """Return what `MODULE:NAME` names, or a function that makes a file's model."""
    if not reference.endswith(KERAS_FILES):
        return import_named(reference)
    from fdl.keras import import_model
    from fdl.keras.graph.head import with_logits

    try:
        model = import_model(reference)[0]
    except WeightsError as error:
        raise ValueError(str(error)) from error
    return lambda num_classes: with_logits(model, num_classes)


def _name_of(thing: Any) -> str:
    """Return the name of a function or class; an empty one for anything else."""
    if not hasattr(thing, "__qualname__"):
        return ""
    return f"{thing.__module__}:{thing.__qualname__}"


def _local(name: str) -> str:
    """Return a name that is the same for a script run directly and for its import."""
    module, _, rest = name.partition(":")
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None) or module
        module = os.path.splitext(os.path.basename(file))[0]
    return f"{module}:{rest}"


def _build(name: str, thing: Any, info: DatasetInfo) -> Any:
    """Return the Linen module for a data set, after tracing it on an example."""
    import numpy as np

    from fdl.learners.modules import apply, draw_variables

    model = _made(name, thing, info)
    like = example(info)[0]
    if info.kind != "document":  # pixels arrive in [0, 1]
        like = like.astype(np.float32)

    def answer(inputs: Any) -> Any:
        params, kept = draw_variables(model, jax.random.key(0), inputs)
        return apply(model, params, kept, inputs).outputs

    try:
        outputs = jax.eval_shape(answer, like)
    except Exception as error:  # a model may raise anything
        raise ValueError(
            f"{name} does not take inputs of shape {list(info.input_shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    shape = getattr(outputs, "shape", None)
    if shape != (1, info.num_classes):
        found = type(outputs).__name__ if shape is None else f"shape {list(shape)}"
        has = "one number to predict"
        if info.kind != "number":
            has = f"{info.num_classes} classes"
        raise ValueError(
            f"{name} returns {found} for a batch of one, but {info.name} has {has}: "
            f"return shape [1, {info.num_classes}]."
        )
    return model


def _made(name: str, thing: Any, info: DatasetInfo) -> Any:
    from flax import linen, nnx

    if isinstance(thing, linen.Module):
        return thing
    if isinstance(thing, nnx.Module):
        raise ValueError(
            f"{name} is an instance of an NNX module: pass its class, or "
            "flax.nnx.bridge.ToLinen of the class."
        )
    if not callable(thing):
        raise ValueError(
            f"{name} is {_kind(thing)}: pass a Linen module, or a function of "
            "num_classes that returns one."
        )
    given = {"num_classes": info.num_classes}
    if not _takes_num_classes(thing):
        if info.kind != "number":
            raise ValueError(
                f"{name} does not take num_classes: pass a Linen module, or a function "
                "of num_classes that returns one."
            )
        given = {}
    if isinstance(thing, type) and issubclass(thing, nnx.Module):
        return nnx.bridge.ToLinen(thing, kwargs=given)
    try:
        model = thing(**given)
    except Exception as error:  # a function may raise anything
        said = ", ".join(f"{key}={value}" for key, value in given.items())
        raise ValueError(
            f"{name}({said}) failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, linen.Module):
        raise ValueError(
            f"{name} returned {_kind(model)}, not a Linen module"
            + (
                ": return flax.nnx.bridge.ToLinen of its class."
                if isinstance(model, nnx.Module)
                else "."
            )
        )
    return model


def _takes_num_classes(make: Callable[..., Any]) -> bool:
    try:
        names = inspect.signature(make).parameters
    except ValueError:  # a function that is not written in Python
        names = {}
    anything = any(one.kind is one.VAR_KEYWORD for one in dict(names).values())
    return "num_classes" in names or anything


def _kind(thing: Any) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return f"an object of type {type(thing).__name__}"
