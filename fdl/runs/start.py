"""What a run starts from, and which data its weights have seen."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from fdl import data, tasks
from fdl.arrays import PyTree
from fdl.keras import import_model, load_weights
from fdl.learner import State
from fdl.runs.run import Run, open_run
from fdl.runs.seen import NOTHING, Seen, load_seen
from fdl.runs.weights import fill, named_variables, with_variables
from fdl.tasks import Task, Trained
from fdl.weights import WeightsError, require_finite, require_same_arrays

UNKNOWN = "unknown"
"""The data set of weights of which nothing is recorded."""


class Start(NamedTuple):
    """Where a run starts.

    Attributes:
        state: The state before the first update; None for one drawn at random.
        trained_on: The data sets that its weights were trained on, in order.
        drawn_anew: Names of the arrays that are not those of the weights, but random.
        seen: Which inputs the weights have seen.
    """

    state: State | None = None
    trained_on: tuple[str, ...] = ()
    drawn_anew: tuple[str, ...] = ()
    seen: Seen = NOTHING


def start_from(task: Task, fresh: Trained, place: Path) -> Start:
    """Return the start with the weights of another run, or of Keras.

    Where the other run had another number of classes (or, for texts, other characters
    or words, or another length), the arrays whose shapes depend on it are drawn anew.

    Args:
        task: What is to be trained.
        fresh: The run, before training.
        place: The folder of a run, or a file of Keras.

    Raises:
        RunError: If the folder holds no run.
        ValueError: If the weights are not those of the task's model.
    """
    return (
        _of_run(task, fresh, open_run(place))
        if place.is_dir()
        else _of_keras(task, fresh, place)
    )


def _of_keras(task: Task, fresh: Trained, file: Path) -> Start:
    parts = task.parts(fresh)
    if len(parts) > 1:
        raise ValueError(
            f"init_from={str(file)!r} has one model, but task {task.name!r} trains "
            f"several: {', '.join(parts)}."
        )
    (part,) = parts.values()
    variables = _variables(file, part.model, part.inputs)
    require_finite(named_variables(variables), file)
    like = jax.tree.map(lambda x, y: x.astype(y.dtype), variables, part.variables)
    return Start(with_variables(tasks.draw_state(fresh), like), (UNKNOWN,))


def _variables(file: Path, model: Any, inputs: tuple) -> PyTree:
    if file.suffix == ".h5" and not file.name.endswith(".weights.h5"):
        return import_model(file)[1]
    return load_weights(file, model, *inputs)


def _of_run(task: Task, fresh: Trained, source: Run) -> Start:
    info, before = fresh.info, source.info
    then, more = _differences(info, before)
    shapes = _shapes(task, fresh, info._replace(**then))
    found = source.variables
    try:
        require_same_arrays(
            named_variables(found), named_variables(shapes), source.path
        )
    except WeightsError as error:
        raise WeightsError(f"{error}{_remedy(info, before)}") from error
    head = set()
    if more:
        wider = named_variables(_shapes(task, fresh, info._replace(**then | more)))
        same = named_variables(shapes)
        head = {name for name, x in same.items() if x.shape != wider[name].shape}
    state = tasks.draw_state(fresh)
    drawn, given = (named_variables(each) for each in (state.variables, found))
    kept = {name: x if name in head else given[name] for name, x in drawn.items()}
    state = with_variables(state, fill(state.variables, kept))
    if not head and task.name == source.task.name and "average" in state.extra:
        state = state._replace(extra=source.state.extra)  # of a GAN's generator
    seen = load_seen(source.path)
    return Start(state, source.trained_on, tuple(sorted(head)), seen)


def _differences(
    info: data.DatasetInfo, before: data.DatasetInfo
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what models depend on as it was before; of what differs, one more."""
    then: dict[str, Any] = {"num_classes": before.num_classes}
    more: dict[str, Any] = {}
    names = info.kind == "text" and info.class_names != before.class_names
    if info.num_classes != before.num_classes or names:
        more["num_classes"] = before.num_classes + 1
    if info.kind == before.kind == "document":
        then |= {"vocabulary": before.vocabulary, "input_shape": before.input_shape}
        if info.vocabulary != before.vocabulary:
            more["vocabulary"] = (*before.vocabulary, "")
        if info.input_shape != before.input_shape:
            more["input_shape"] = (before.input_shape[0] + 1,)
    return then, more


def _remedy(info: data.DatasetInfo, before: data.DatasetInfo) -> str:
    """Return what to do if weights do not fit since inputs have another shape."""
    if info.input_shape == before.input_shape:
        return ""
    said = (
        f" It was trained on inputs of shape {list(before.input_shape)}, but those of "
        f"{info.title} have {list(info.input_shape)}"
    )
    if not info.kind == before.kind == "image":
        return f"{said}."
    height, width, channels = before.input_shape
    return (
        f"{said}: bring the images to its form, with --size {height}x{width} and "
        f"channels={channels} (DATASET?size={height}x{width}&channels={channels})."
    )


def _shapes(task: Task, fresh: Trained, info: data.DatasetInfo) -> PyTree:
    return tasks.outline(task, fresh.config, info).state.variables
