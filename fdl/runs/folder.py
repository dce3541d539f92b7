"""The folder of a run: settings, history, checkpoints, weights and results."""

import dataclasses
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from fdl.files import json_text, sha256_of, write_whole
from fdl.learner import State
from fdl.runs import own_files
from fdl.runs.checkpoints import Checkpoint, Checkpoints
from fdl.runs.errors import RunError, not_a_run
from fdl.runs.history import HISTORY, as_lines, history_sha256, read_history
from fdl.runs.listing import SHA256, read_json
from fdl.runs.lock import in_use, is_held
from fdl.runs.seal import sealed_step
from fdl.runs.weights import load_weights, save_weights
from fdl.train import Epoch


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Every file is written under another name and then renamed, so that it is complete or
    absent:

    - `config.json`: enough to repeat the run;
    - `metrics.jsonl`: a line for each epoch;
    - `checkpoints/`: the last three states (Orbax), and the one after the best epoch,
      with all that training needs to resume;
    - `weights.safetensors`: the models' variables after the last epoch, or, if training
      stopped early, after the best;
    - `seen.safetensors`: hashes of the inputs that its weights have seen;
    - `novelty.safetensors`: a detector of images that are unlike the training images;
    - `result.json`, `curves.png`, `confusion.png`: written at the end.

    Attributes:
        path: The folder.
        replaces: Whether the folder holds another run, which this one replaces after
            its first epoch. Until then its own files are in `.new`.
        said: The content of `config.json`, if another process writes the folder and
            this one neither reads nor writes it; else None.
    """

    path: Path
    replaces: bool = False
    said: dict[str, Any] | None = None

    @classmethod
    def create(
        cls, path: Path | str, config: dict[str, Any], *, overwrite: bool = False
    ) -> "RunFolder":
        """Make a folder for a new run and write its `config.json`.

        Args:
            path: The folder; parents are made as needed.
            config: Settings of the run, as JSON.
            overwrite: Whether to replace an existing run, which stays unchanged until
                `settle` is called. Only files that fdl wrote are ever removed.

        Raises:
            RunError: If the folder is not empty, and holds no run that may be replaced.
        """
        path = Path(path)
        own_files.finish_replacing(path)
        folder = cls(path, replaces=_holds_run(path, overwrite))
        own_files.discard_new(path)
        folder.home.mkdir(parents=True, exist_ok=True)
        own_files.mark(folder.home, "sweep" if "sweep" in config else "run")
        folder.write_json("config.json", config)
        return folder

    def settle(self) -> "RunFolder":
        """Replace the old run, if there is one, and return the resulting folder.

        Other files in the folder stay, with a warning.
        """
        if not self.replaces:
            return self
        for name in own_files.foreign(self.path):
            warnings.warn(
                f"{self.path / name} stays: fdl did not write it.", stacklevel=2
            )
        own_files.replace(self.path)
        return RunFolder(self.path)

    def abandon(self) -> None:
        """Delete a run that was to replace another, unless it can be resumed."""
        if self.replaces and not self.checkpoints.found():
            own_files.discard_new(self.path)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Return the run that is in a folder.

        Raises:
            RunError: If there is none, or `config.json` is damaged.
        """
        path = Path(path)
        if not is_held(path):
            own_files.finish_replacing(path)
        if path.suffix in (".keras", ".h5") and path.is_file():
            raise RunError(
                f"{path} is a file, not the folder of a run: `fdl import {path}` shows "
                "its layers, and converts it to a folder with --to."
            )
        if path.is_file():
            raise RunError(
                f"{path} is a file, not the folder of a run; .stablehlo files can only "
                "make predictions, with `fdl predict` or `fdl.load`."
            )
        if not (path / "config.json").is_file():
            raise not_a_run(path)
        folder = cls(path)
        if "sweep" in folder.config():
            best = path / "best"
            chosen = (
                f"its best member is {best}"
                if best.is_dir()
                else "it has no best member"
            )
            raise RunError(f"{path} is a sweep, not a run; {chosen}.")
        return folder

    @classmethod
    def begun(cls, path: Path | str) -> "RunFolder":
        """Return the run in a folder to resume: the new one, if one is being replaced.

        Raises:
            RunError: If there is none, or `config.json` is damaged.
        """
        folder = cls.open(path)
        new = cls(folder.path, replaces=True)
        return new if new.checkpoints.found() else folder

    @property
    def home(self) -> Path:
        """The folder of its files."""
        return self.path / own_files.NEW if self.replaces else self.path

    @property
    def weights(self) -> Path:
        """The file of the models' variables."""
        return self.home / "weights.safetensors"

    def config(self) -> dict[str, Any]:
        """Return the settings of the run.

        Raises:
            RunError: If `config.json` is damaged.
        """
        return read_json(self.home / "config.json") if self.said is None else self.said

    def keep(self, moment: Checkpoint, *, best: int | None = None) -> None:
        """Save a checkpoint; between epochs, also the history and the weights.

        The checkpoint comes first, so that neither can be ahead of it.

        Args:
            moment: The checkpoint.
            best: The step of the best state so far, whose checkpoint is kept, too.
        """
        self.checkpoints.save(moment, best=best)
        if moment.sums is None:
            self.write_history(moment.history)
            save_weights(self.weights, moment.state)

    def write_history(self, history: Sequence[Epoch]) -> None:
        """Write `metrics.jsonl`; without epochs, delete it."""
        if history:
            write_whole(self.home / HISTORY, as_lines(history))
        else:
            (self.home / HISTORY).unlink(missing_ok=True)

    def history(self) -> tuple[Epoch, ...]:
        """Return the epochs in `metrics.jsonl`; none before the first has ended.

        Raises:
            RunError: If a line is damaged, or the epochs do not match the result.
        """
        history, result = read_history(self.home), self.result() or {}
        said = result.get("history_sha256")
        if said is not None and said != history_sha256(history):
            raise RunError(
                f"{self.home / HISTORY} is damaged: its checksum does not match. `fdl "
                f"train --resume {self.path}` writes it again."
            )
        return history

    def result(self) -> dict[str, Any] | None:
        """Return the content of `result.json`; None for an unfinished run.

        Raises:
            RunError: If it is damaged.
        """
        file = self.home / "result.json"
        return read_json(file) if file.is_file() else None

    @property
    def checkpoints(self) -> Checkpoints:
        """The saved states."""
        return Checkpoints(self.home / "checkpoints")

    def load(self, state: State) -> tuple[State, int | None]:
        """Return a state with the run's weights, and how many epochs they have seen.

        If the learner has more than weights, such as a moving average, the state is
        that of their checkpoint, so that all parts are of the same step; or of the
        newest intact one before it.

        Raises:
            RunError: If no epoch was finished; or if the learner has more than weights,
                and no checkpoint is intact.
            WeightsError: If the weights are damaged, or do not fit the model.
        """
        if not self.weights.is_file():
            raise RunError(
                f"{self.path} has no weights.safetensors: its training did not finish "
                f"an epoch. Resume it with fdl train --resume {self.path}."
            )
        loaded, step = load_weights(self.weights, state), sealed_step(self.weights)
        if jax.tree.leaves(state.extra):
            loaded = self.checkpoints.restore(step, state)
            step = int(loaded.step)
        epochs = [line.epoch for line in self.history() if line.step == step]
        return loaded, epochs[0] if epochs else None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file with a checksum, atomically."""
        signed = content | {SHA256: sha256_of(content)}
        write_whole(self.home / name, f"{json_text(signed, indent=2)}\n".encode())


def fresh_path(parent: Path | str, name: str) -> Path:
    """Make an empty folder for a new run, named after `name`, the time and a number.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (fresh_path(Path(folder), "cnn") for _ in range(2))
        ...     first.is_dir(), first != second
        (True, True)
    """
    stem = Path(parent) / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = stem, 1
    while True:
        try:
            path.mkdir(parents=True)  # of several concurrent runs, one succeeds
            return path
        except FileExistsError:
            number += 1
            path = stem.with_name(f"{stem.name}-{number}")


def require_free(path: Path, overwrite: bool) -> None:
    """Raise RunError if a folder cannot be used for a new run.

    Args:
        path: The folder.
        overwrite: Whether a run may be replaced.
    """
    if is_held(path):
        raise in_use(path)
    own_files.finish_replacing(path)
    _holds_run(path, overwrite)


def _holds_run(path: Path, overwrite: bool) -> bool:
    """Return whether a folder holds a run to replace; raise for anything else."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; use another folder for the run.")
    if not path.exists() or own_files.is_empty(path):
        return False
    made = own_files.made(path)
    if made is None:
        written = (path / "config.json").is_file()
        what = "was not written by this version of fdl" if written else "is not a run"
        raise RunError(
            f"{path} is not empty and {what}; use another folder for the run."
        )
    if made == "sweep":
        raise RunError(f"{path} contains a sweep; use another folder for the run.")
    if not overwrite:
        raise RunError(
            f"{path} already contains a run; use another folder, or replace it with "
            "--overwrite (from Python, overwrite=True)."
        )
    return True
