"""The weights that a run starts from, and the data that they have seen."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flax.traverse_util import unflatten_dict

from fdl import data, tasks
from fdl.arrays import PyTree, is_matched
from fdl.keras import KerasModel, import_model, load_weights
from fdl.keras.hdf5 import is_whole_model
from fdl.keras.published import other_depths
from fdl.learner import State
from fdl.models.backbone import Backbone, backbone_layers
from fdl.runs.opening import open_run
from fdl.runs.run import Run
from fdl.runs.seen import NOTHING, Seen, load_seen
from fdl.runs.weights import fill, named_variables
from fdl.tasks import ExportedModel, Task, Trained
from fdl.weights import (
    Declared,
    WeightsError,
    read_safetensors,
    require_finite,
    require_same_arrays,
)

_WEIGHTS = "weights.safetensors"  # of a run's folder
UNKNOWN = "unknown"
"""Stands for the data set of weights without a record."""


class Start(NamedTuple):
    """The start of a run.

    Attributes:
        state: The state before the first update; None for a random one.
        trained_on: The data sets that its weights were trained on, in order.
        newly_initialized: Names of the arrays that are random, not from the weights.
        seen: The inputs that the weights have seen.
    """

    state: State | None = None
    trained_on: tuple[str, ...] = ()
    newly_initialized: tuple[str, ...] = ()
    seen: Seen = NOTHING


def start_from(task: Task, fresh: Trained, place: Path) -> Start:
    """Start from the weights of another run, or of a file.

    If they are for another number of classes (or, for texts, other characters or words,
    or another length), the arrays whose shapes depend on it are initialized at random.
    So is the head of a model with a backbone, if a file has no head or another one.

    Args:
        task: The task to train.
        fresh: The run, before training.
        place: The folder of a run, or its `weights.safetensors`; or a file of Keras or
            of `fdl export`.

    Raises:
        RunError: If the folder contains no run.
        ValueError: If the weights do not fit the task's model.
    """
    if (place.parent / "config.json").is_file() and place.name == _WEIGHTS:
        place = place.parent
    return (
        _of_run(task, fresh, open_run(place))
        if place.is_dir()
        else _of_file(task, fresh, place)
    )


def _of_file(task: Task, fresh: Trained, file: Path) -> Start:
    parts = task.parts(fresh)
    if len(parts) > 1:
        raise ValueError(
            f"init_from={str(file)!r} contains one model, but task {task.name!r} "
            f"trains several: {', '.join(parts)}. Use the folder of a run."
        )
    (part,) = parts.values()
    refused: WeightsError | None = None
    for only in itertools.chain([None], _without_heads(task, fresh)):
        try:
            variables = _read(file, part, only)
            break
        except WeightsError as error:
            refused = error
    else:
        assert refused is not None
        raise refused
    loaded = named_variables(variables)
    require_finite(loaded, file)
    state = tasks.draw_state(fresh)
    drawn = sorted(named_variables(state.variables).keys() - loaded.keys())
    return Start(state.with_variables(variables), (UNKNOWN,), tuple(drawn))


def _without_heads(task: Task, fresh: Trained) -> Iterator[tuple[str, ...]]:
    """Yield the modules of a model without those that may be initialized at random."""
    info, model = fresh.info, fresh.model
    more = info._replace(num_classes=info.num_classes + 1)
    # The number of outputs of a ready-made model is fixed, which raises ValueError.
    with contextlib.suppress(ValueError):
        wider = named_variables(_shapes(task, fresh, more))
        own = named_variables(fresh.state.variables)
        new = {_module(name) for name, x in own.items() if x.shape != wider[name].shape}
        yield tuple({*map(_module, own)} - new)
    if isinstance(model, Backbone):
        yield backbone_layers(model, data.example(info)[0])


def _read(file: Path, part: ExportedModel, only: Sequence[str] | None) -> PyTree:
    """Return the variables in a file, or those of some modules.

    Raises:
        WeightsError: If the file lacks some of them, or has others.
    """
    model, variables, inputs = part
    if file.suffix == ".safetensors":
        return _named(file, variables, only)
    whole = file.suffix == ".keras"
    if file.suffix == ".h5" and not file.name.endswith(".weights.h5"):
        with file.open("rb") as opened:
            whole = is_whole_model(opened, str(file))
    if isinstance(model, KerasModel):
        # Weights alone are matched by their order, so none can be left out.
        return _imported(file, variables, only) if whole else load_weights(file, model)
    if file.suffix == ".h5" and whole:
        return import_model(file)[1]
    return load_weights(file, model, *inputs, only=only)


def _imported(file: Path, variables: PyTree, only: Sequence[str] | None) -> PyTree:
    """Return the variables of a Keras model, or those of some of its layers."""

    def of_those(variables: PyTree) -> dict[str, Any]:
        named = named_variables(variables).items()
        return {n: x for n, x in named if only is None or is_matched(_inner(n), only)}

    found = of_those(import_model(file)[1])
    require_same_arrays(found, of_those(variables), file)
    return unflatten_dict({tuple(name.split("/")): x for name, x in found.items()})


def _named(
    file: Path, variables: PyTree, only: Sequence[str] | None
) -> dict[str, PyTree]:
    """Return variables from arrays by name; other arrays must be those of a head."""
    own = named_variables(variables)
    wanted = own
    if only is not None:
        wanted = {name: own[name] for name in own if is_matched(_inner(name), only)}
    modules = {_inner(name).partition("/")[0] for name in wanted}

    def is_of_head(name: str, array: Declared) -> bool:
        module = _inner(name).partition("/")[0]
        is_new = name in own or (len(array.shape) < 3 and module not in modules)
        return only is not None and name not in wanted and is_new

    def require(arrays: Mapping[str, Declared]) -> None:
        kept = {n: x for n, x in arrays.items() if not is_of_head(n, x)}
        try:
            require_same_arrays(kept, wanted, file)
        except WeightsError as error:
            why = other_depths(map(_inner, wanted), map(_inner, arrays))
            raise WeightsError(f"{error} {why}".rstrip()) from error

    found = read_safetensors(file, require)
    return unflatten_dict({tuple(name.split("/")): found[name] for name in wanted})


def _inner(name: str) -> str:
    """Return the path of an array in its collection."""
    return name.partition("/")[2]


def _module(name: str) -> str:
    return _inner(name).rpartition("/")[0]


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
        why = f"{_other_model(fresh, source)}{_remedy(info, before)}"
        raise WeightsError(f"{error}{why}") from error
    head = set()
    if more:
        wider = named_variables(_shapes(task, fresh, info._replace(**then | more)))
        same = named_variables(shapes)
        head = {name for name, x in same.items() if x.shape != wider[name].shape}
    state = tasks.draw_state(fresh)
    drawn, given = (named_variables(each) for each in (state.variables, found))
    kept = {name: x if name in head else given[name] for name, x in drawn.items()}
    state = state.with_variables(fill(state.variables, kept))
    if not head and task.name == source.task.name and "average" in state.extra:
        state = state._replace(extra=source.state.extra)  # average of a GAN's generator
    seen = load_seen(source.path)
    return Start(state, source.trained_on, tuple(sorted(head)), seen)


def _differences(
    info: data.DatasetInfo, before: data.DatasetInfo
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts about data that shapes depend on, as they were, and changes.

    The changes enlarge each fact that differs: arrays whose shapes change with it are
    those to initialize at random.
    """
    then: dict[str, Any] = {"num_classes": before.num_classes}
    more: dict[str, Any] = {}
    told = info.kind in ("text", "pair")
    names = told and info.class_names != before.class_names
    if info.num_classes != before.num_classes or names:
        more["num_classes"] = before.num_classes + 1
    if info.kind == before.kind and info.kind in ("document", "pair"):
        then |= {"vocabulary": before.vocabulary, "input_shape": before.input_shape}
        if info.vocabulary != before.vocabulary:
            more["vocabulary"] = (*before.vocabulary, "")
        if info.input_shape != before.input_shape:
            more["input_shape"] = (before.input_shape[0] + 1,)
    return then, more


def _other_model(fresh: Trained, source: Run) -> str:
    """Return how a run's model differs from the one that starts from it."""
    now, before = fresh.config, source.config
    if now.task != before.task:
        return f" It is a run of {before.task}."
    ours, theirs = (dataclasses.asdict(one.options) for one in (now, before))
    other = [f"{name}={theirs[name]}" for name in ours if ours[name] != theirs[name]]
    return f" It was trained with {', '.join(other)}." if other else ""


def _remedy(info: data.DatasetInfo, before: data.DatasetInfo) -> str:
    """Return a remedy if weights do not fit because inputs have another shape."""
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
        f"{said}: resize the images to match, with --size {height}x{width} and "
        f"channels={channels} (DATASET?size={height}x{width}&channels={channels})."
    )


def _shapes(task: Task, fresh: Trained, info: data.DatasetInfo) -> PyTree:
    return tasks.outline(task, fresh.config, info).state.variables
