"""The folder that a run leaves behind: what it was, how it went, what came of it."""

import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from fdl.files import write_whole
from fdl.learner import State
from fdl.runs.checkpoints import Checkpoint, Checkpoints
from fdl.runs.errors import RunError
from fdl.runs.history import HISTORY, as_lines, read_history
from fdl.runs.listing import read_json
from fdl.runs.lock import in_use, is_held
from fdl.runs.seal import sealed_step
from fdl.runs.weights import load_weights, save_weights
from fdl.train import Epoch


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Every file is written under another name and then renamed, so that it is whole or
    not there:

    - `config.json`: enough to repeat the run;
    - `metrics.jsonl`: a line for each epoch;
    - `checkpoints/`: the last three states (Orbax), and that after the best epoch, with
      all that training takes to go on from there;
    - `weights.safetensors`: the models' variables after the last epoch, or, where
      training stopped early, after the best;
    - `seen.safetensors`: hashes of the inputs that its weights have seen;
    - `novelty.safetensors`: what tells images that are unlike those of the training;
    - `result.json`, `curves.png`, `confusion.png`: written at the end.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(
        cls, path: Path | str, config: dict[str, Any], *, overwrite: bool = False
    ) -> "RunFolder":
        """Make a folder for a new run and write its `config.json`.

        Args:
            path: Where; parents are made as needed.
            config: Settings of the run, as JSON.
            overwrite: Whether to delete a run that is there already. Only a run is ever
                deleted: any other folder that is not empty is an error.

        Raises:
            RunError: If something is in the way.
        """
        path = Path(path)
        if path.exists():
            _check_free(path, overwrite)
            # The folder itself stays: it may be a mount, a link, or where we are.
            # What makes it a run goes last, in case the deletion is cut off.
            for child in sorted(path.iterdir(), key=lambda x: x.name == "config.json"):
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child)
                else:
                    child.unlink()
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        folder.write_json("config.json", config)
        return folder

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Return the run that is in a folder.

        Raises:
            RunError: If there is none, or `config.json` is damaged.
        """
        path = Path(path)
        if path.is_file():
            raise RunError(
                f"{path} is a file, not the folder of a run; of .stablehlo files, `fdl "
                "predict` and `fdl.load` ask for predictions, and nothing else can."
            )
        if not (path / "config.json").is_file():
            raise RunError(f"{path} is not a run: it has no config.json.")
        folder = cls(path)
        if "sweep" in folder.config():
            best = path / "best"
            chosen = f"its best member is {best}" if best.is_dir() else "it has no best"
            raise RunError(f"{path} is a sweep and not a run; {chosen}.")
        return folder

    @property
    def weights(self) -> Path:
        """The file of the variables."""
        return self.path / "weights.safetensors"

    def config(self) -> dict[str, Any]:
        """Return the settings of the run.

        Raises:
            RunError: If `config.json` is damaged.
        """
        return read_json(self.path / "config.json")

    def keep(self, moment: Checkpoint, *, best: int | None = None) -> None:
        """Keep a moment of the training; between epochs, also lines and weights.

        The checkpoint comes first, so that neither can be ahead of it.

        Args:
            moment: The moment.
            best: The step of the best state so far, whose checkpoint is kept, too.
        """
        self.checkpoints.save(moment, best=best)
        if moment.sums is None:
            self.write_history(moment.history)
            save_weights(self.weights, moment.state)

    def write_history(self, history: Sequence[Epoch]) -> None:
        """Write `metrics.jsonl`; without epochs, there is none."""
        if history:
            write_whole(self.path / HISTORY, as_lines(history))
        else:
            (self.path / HISTORY).unlink(missing_ok=True)

    def history(self) -> tuple[Epoch, ...]:
        """Return the epochs in `metrics.jsonl`; none before the first has ended.

        Raises:
            RunError: If a line is damaged.
        """
        return read_history(self.path)

    def result(self) -> dict[str, Any] | None:
        """Return `result.json`; None for a run that did not reach its end.

        Raises:
            RunError: If it is damaged.
        """
        file = self.path / "result.json"
        return read_json(file) if file.is_file() else None

    @property
    def checkpoints(self) -> Checkpoints:
        """The states that are kept."""
        return Checkpoints(self.path / "checkpoints")

    def load(self, state: State) -> State:
        """Return a state with the run's weights.

        Where the learner keeps more than these, such as a moving average, it is the
        state of their checkpoint, so that all parts of it are of the same step.

        Raises:
            RunError: If no epoch was finished; or if the learner keeps more, and the
                checkpoint is missing or damaged.
            WeightsError: If the weights are damaged, or are not those of the model.
        """
        if not self.weights.is_file():
            raise RunError(
                f"{self.path} has no weights.safetensors: its training did not finish "
                "an epoch; train it again."
            )
        loaded = load_weights(self.weights, state)
        if not jax.tree.leaves(state.extra):
            return loaded
        return self.checkpoints.restore(sealed_step(self.weights), state)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        write_whole(self.path / name, (json.dumps(content, indent=2) + "\n").encode())


def fresh_path(parent: Path | str, name: str) -> Path:
    """Make an empty folder in `parent` for a new run: name, time, perhaps a number.

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
            path.mkdir(parents=True)  # of those that start at once, one succeeds
            return path
        except FileExistsError:
            number += 1
            path = stem.with_name(f"{stem.name}-{number}")


def _check_free(path: Path, overwrite: bool) -> None:
    """Raise RunError if a run must not be put where something is."""
    if not path.is_dir():
        raise RunError(f"{path} is a file; give the run another folder.")
    if (path / "config.json").is_file():
        if is_held(path):
            raise in_use(path)
        if not overwrite:
            raise RunError(
                f"{path} holds a run already; give another folder, or replace it with "
                "--overwrite (from Python, overwrite=True)."
            )
    elif any(path.iterdir()):
        raise RunError(
            f"{path} is not empty and not a run; give the run another folder."
        )
