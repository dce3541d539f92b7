"""Loggers of runs: TensorBoard, Weights & Biases, or your own.

`metrics.jsonl`, in the run's folder, is always written. The packages that loggers need
are imported when they are used.
"""

import contextlib
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from fdl.learner import State
from fdl.runs.own_files import changed
from fdl.runs.weights import named_variables
from fdl.train import Epoch

Pictures = Mapping[str, Path]
"""PNG files in the run's folder, by name."""


@runtime_checkable
class Logger(Protocol):
    """A logger of runs: any object with these three methods."""

    def start(self, path: Path, config: Mapping[str, Any]) -> None:
        """Called when a run begins.

        Args:
            path: Its folder.
            config: The content of its `config.json`.
        """

    def epoch(self, line: Epoch, state: State, pictures: Pictures) -> None:
        """Called when an epoch has ended.

        Args:
            line: Its line of the history.
            state: The state after it, which is only valid during the call.
            pictures: The pictures drawn since the last call.
        """

    def end(self, result: Mapping[str, Any] | None, pictures: Pictures) -> None:
        """Called when the run has ended.

        Args:
            result: The content of its `result.json`; None if it was interrupted.
            pictures: The pictures drawn since the last call.
        """


class TensorBoard:
    """Writes event files for TensorBoard: scalars, pictures, histograms of parameters.

    They are in `tensorboard` in the run's folder: `tensorboard --logdir runs` shows
    all runs. Needs the package tensorboardX (`pip install 'fdl[tensorboard]'`), not
    TensorFlow.
    """

    def __init__(self) -> None:
        """Import the package."""
        self._package = _package("tensorboardX", "tensorboard")
        self._epoch = 0

    def start(self, path: Path, config: Mapping[str, Any]) -> None:
        """Begin the event file, with the settings as text."""
        self._writer = self._package.SummaryWriter(str(path / "tensorboard"))
        settings = "\n".join(f"    {line}" for line in _text(config).splitlines())
        self._writer.add_text("config", settings)

    def epoch(self, line: Epoch, state: State, pictures: Pictures) -> None:
        """Write metrics, histograms of all parameters, and pictures."""
        self._epoch = line.epoch
        for name, value in _scalars(line):
            self._writer.add_scalar(name, value, line.epoch)
        for name, x in named_variables(state.params).items():
            self._writer.add_histogram(f"params/{name}", np.asarray(x), line.epoch)
        self._show(pictures)

    def end(self, result: Mapping[str, Any] | None, pictures: Pictures) -> None:
        """Write the test metrics, and close the file."""
        for name, value in (result or {}).get("metrics", {}).items():
            self._writer.add_scalar(f"test/{name}", value, self._epoch)
        self._show(pictures)
        self._writer.close()

    def _show(self, pictures: Pictures) -> None:
        for name, file in pictures.items():
            image = np.asarray(Image.open(file).convert("RGB"))
            self._writer.add_image(name, image, self._epoch, dataformats="HWC")


class WeightsAndBiases:
    """Sends a run to Weights & Biases, or stores it with `WANDB_MODE=offline`.

    Its files are in `wandb` in the run's folder. Needs the package wandb (`pip install
    'fdl[wandb]'`).

    Args:
        **options: Options of `wandb.init`, such as `project`, by default `"fdl"`.
    """

    def __init__(self, **options: Any) -> None:
        """Import the package."""
        self._package = _package("wandb", "wandb")
        self._options = {"project": "fdl", **options}

    def start(self, path: Path, config: Mapping[str, Any]) -> None:
        """Begin a wandb run, with the settings as its configuration."""
        self._run = self._package.init(
            **{"dir": str(path), "name": path.name, "config": dict(config)}
            | self._options
        )

    def epoch(self, line: Epoch, state: State, pictures: Pictures) -> None:
        """Log metrics, histograms of all parameters, and pictures."""
        histograms = {
            f"params/{name}": self._package.Histogram(np.asarray(x))
            for name, x in named_variables(state.params).items()
        }
        shown = self._images(pictures)
        self._run.log({**dict(_scalars(line)), **histograms, **shown}, step=line.epoch)

    def end(self, result: Mapping[str, Any] | None, pictures: Pictures) -> None:
        """Log the test metrics, and finish the wandb run."""
        for name, value in (result or {}).get("metrics", {}).items():
            self._run.summary[f"test/{name}"] = value
        if pictures:
            self._run.log(self._images(pictures))
        self._run.finish(exit_code=1 if result is None else 0)

    def _images(self, pictures: Pictures) -> dict[str, Any]:
        return {name: self._package.Image(str(file)) for name, file in pictures.items()}


LOGGERS = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
"""The named loggers, as for `fdl train --log`."""


def make_loggers(loggers: Iterable[Logger | str]) -> list[Logger]:
    """Return loggers, creating those given by name.

    Raises:
        ValueError: If a name is unknown, or its package is missing.
    """
    made: list[Logger] = []
    for one in loggers:
        if not isinstance(one, str):
            made.append(one)
        elif one in LOGGERS:
            made.append(LOGGERS[one]())
        else:
            raise ValueError(f"logger={one!r} must be one of {', '.join(LOGGERS)}.")
    return made


class Listeners:
    """The loggers of a run, and the pictures that they have not been passed yet."""

    def __init__(self, loggers: Sequence[Logger], path: Path) -> None:
        """Record the existing pictures, which are not passed to loggers."""
        self._loggers, self._path = loggers, path
        self._seen: dict[str, int] = {}
        self._result: Mapping[str, Any] | None = None
        self._new_pictures()

    @contextlib.contextmanager
    def listening(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Report the beginning and, whatever happens in the block, the end."""
        with contextlib.ExitStack() as ends:
            for one in self._loggers:
                one.start(self._path, config)
                ends.callback(lambda one=one: one.end(self._result, self._last))
            try:
                yield
            finally:
                self._last = self._new_pictures()

    def epoch(self, line: Epoch, state: State) -> None:
        """Report an epoch."""
        pictures = self._new_pictures() if self._loggers else {}
        for one in self._loggers:
            one.epoch(line, state, pictures)

    def result(self, result: Mapping[str, Any]) -> None:
        """Set the result that is reported at the end."""
        self._result = result

    def _new_pictures(self) -> dict[str, Path]:
        files = changed(self._path).items()
        times = {name: time for name, time in files if name.endswith(".png")}
        new = [name for name in sorted(times) if self._seen.get(name) != times[name]]
        self._seen = times
        return {  # the pictures of all epochs have the same name
            re.sub(r"(/epoch-\d+)?\.png$", "", name): self._path / name for name in new
        }


def _scalars(line: Epoch) -> Iterator[tuple[str, float]]:
    parts = {"train": line.train, "validation": line.validation}
    for part, measured in parts.items():
        for name, value in measured.items():
            if np.ndim(value) == 0:
                yield f"{part}/{name}", float(value)
    yield "seconds", line.seconds


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2)


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"the package {name} is missing: pip install 'fdl[{extra}]'."
        ) from error
