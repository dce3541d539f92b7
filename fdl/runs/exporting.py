"""Export a run, or a part of it, to the format of a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from fdl import data
from fdl.export import (
    ExportError,
    Facts,
    write_onnx,
    write_safetensors,
    write_stablehlo,
)
from fdl.export.scaling import Scaling
from fdl.export.stablehlo import beside
from fdl.keras import save_weights
from fdl.runs.environment import versions
from fdl.runs.weights import fill, named_variables
from fdl.tasks import ExportedModel, Task, Trained
from fdl.weights import WeightsError

Parameters = Literal["inside", "beside"]


class _Order(NamedTuple):
    """What to write, and where.

    Attributes:
        path: The file.
        trained: The run.
        task: Its task.
        part: Name of the model to write; None if not given.
        parameters: Where a function's parameters go.
    """

    path: Path
    trained: Trained
    task: Task
    part: str | None
    parameters: Parameters

    @property
    def facts(self) -> Facts:
        """The metadata of the file."""
        predicts = self.task.predicts if self.part is None else "nothing"
        info = self.trained.info
        return Facts(self.task.name, self.part, predicts, info, versions())

    @property
    def model(self) -> ExportedModel:
        """The requested model, or the only one."""
        parts = self.task.parts(self.trained)
        names = list(parts) if self.part is None else [self.part]
        known = ", ".join(parts)
        if self.part is None and len(parts) > 1:
            raise ValueError(
                f"{self.path} can have one model, but task {self.task.name!r} has "
                f"several: choose one of {known} (--part)."
            )
        if names[0] not in parts:
            raise ValueError(
                f"part={self.part!r} is not a model of task {self.task.name!r}; choose "
                f"one of {known}."
            )
        return parts[names[0]]

    @property
    def is_whole(self) -> bool:
        """Whether to write the run's predictions, rather than one of its models."""
        several = len(self.task.parts(self.trained)) > 1
        return self.part is None and (self.task.predicts != "nothing" or not several)


def export(
    trained: Trained,
    task: Task,
    path: Path,
    *,
    part: str | None = None,
    parameters: Parameters = "inside",
) -> None:
    """Export a run to a file; see `Run.export`."""
    write = _writer(path)
    if parameters == "beside" and write is not _stablehlo:
        raise ValueError(
            f"{path} must contain its parameters: only .stablehlo files can have them "
            "beside."
        )
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is not a folder: make it first.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: use the name of a file.")
    write(_Order(path, trained, task, part, parameters))


def written(path: Path, parameters: Parameters) -> list[Path]:
    """Return the files that an export writes.

    Raises:
        ValueError: If no format has the suffix.

    Example:
        >>> [str(file) for file in written(Path("x.stablehlo"), "beside")]
        ['x.stablehlo', 'x.safetensors']
    """
    _writer(path)
    return [path, beside(path)] if parameters == "beside" else [path]


def _keras(order: _Order) -> None:
    model, variables, inputs = order.model
    try:
        save_weights(order.path, model, variables, *inputs)
    except WeightsError as error:
        raise ExportError(
            f"{order.path} cannot be written for Keras: "
            f"{str(error).rstrip('.')}. Export it as NAME.stablehlo, or the weights as "
            "NAME.safetensors."
        ) from error


def _safetensors(order: _Order) -> None:
    arrays = named_variables(order.model.variables)
    write_safetensors(order.path, arrays, order.facts)


def _stablehlo(order: _Order) -> None:
    if order.is_whole:
        learner, state = order.trained.learner, order.trained.state
        variables, inputs = (
            order.trained.variables,
            (data.example(order.trained.info)[0],),
        )
        answer = lambda variables, inputs: learner.predict(
            state.with_variables(variables), inputs
        )
    else:
        model, variables, inputs = order.model
        answer = model.apply
    named = jax.device_get(named_variables(variables))
    from_named = lambda arrays, *inputs: answer(fill(variables, arrays), *inputs)
    if order.parameters == "beside":
        write_stablehlo(
            order.path, from_named, *inputs, parameters=named, facts=order.facts
        )
    else:
        function = lambda *inputs: from_named(named, *inputs)
        write_stablehlo(order.path, function, *inputs, facts=order.facts)


def _onnx(order: _Order) -> None:
    if order.task.predicts == "sequences":
        raise ExportError(
            f"{order.path} cannot contain a search for sequences: export the run as "
            "NAME.stablehlo, or the weights as NAME.safetensors."
        )
    model, variables, (inputs, *_) = order.model
    options: dict[str, Any] = {"facts": order.facts}
    if order.is_whole:
        trained = order.trained
        learner, state, info = trained.learner, trained.state, trained.info
        last = {"classes": "softmax", "images": "sigmoid"}
        options |= {
            "given": data.example(info)[0],
            "last": last.get(order.task.predicts),
            "expected": lambda x: learner.predict(state, x),
            "preprocess": order.task.inputs(trained.model, trained.config, info),
            "rescale": _units(info),
        }
    write_onnx(order.path, model, variables, inputs, **options)


def _units(info: data.DatasetInfo) -> Scaling | None:
    """Return how the numbers that a task on tables predicts were standardized."""
    if info.kind != "number":
        return None
    return Scaling(np.array(info.means[-1:]), np.array(info.deviations[-1:]))


_FORMATS: Mapping[str, Callable[[_Order], None]] = {
    ".stablehlo": _stablehlo,
    ".onnx": _onnx,
    ".safetensors": _safetensors,
    ".keras": _keras,
    ".weights.h5": _keras,
}


def _writer(path: Path) -> Callable[[_Order], None]:
    for suffix, write in _FORMATS.items():
        if path.name.endswith(suffix):
            return write
    raise ValueError(f"{path} must end with one of {', '.join(_FORMATS)}.")
