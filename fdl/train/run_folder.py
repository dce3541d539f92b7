"""The folder that a run leaves behind: what it was, how it went, what came of it."""

import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any

import jax

from fdl.files import write_whole
from fdl.learner import State
from fdl.train.fit import Epoch
from fdl.train.weights import save_weights


class RunError(ValueError):
    """A run folder is in the way, missing or damaged."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Every file is written under another name and then renamed, so that it is whole or
    not there:

    - `config.json`: enough to repeat the run;
    - `metrics.jsonl`: a line for each epoch;
    - `checkpoints/`: the state after the last epochs (Orbax);
    - `weights.safetensors`: variables after the last epoch;
    - `result.json`, `curves.png`, `confusion.png`: written at the end.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(
        cls, path: Path, config: dict[str, Any], *, overwrite: bool = False
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
        if path.exists():
            is_run = (path / "config.json").is_file()
            if not path.is_dir():
                raise RunError(f"{path} is a file; give the run another folder.")
            if is_run and not overwrite:
                raise RunError(
                    f"{path} holds a run already; give another folder, or --overwrite."
                )
            if not is_run and any(path.iterdir()):
                raise RunError(
                    f"{path} is not empty and not a run; give the run another folder."
                )
            shutil.rmtree(path)
        path.mkdir(parents=True)
        folder = cls(path)
        folder.write_json("config.json", config)
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the run that is in a folder.

        Raises:
            RunError: If there is none, or it has not finished an epoch.
        """
        if not (path / "config.json").is_file():
            raise RunError(f"{path} is not a run: it has no config.json.")
        if not (path / "weights.safetensors").is_file():
            raise RunError(
                f"{path} has no weights.safetensors: its training did not finish an "
                "epoch; train it again."
            )
        return cls(path)

    @property
    def weights(self) -> Path:
        """The file of the variables."""
        return self.path / "weights.safetensors"

    def config(self) -> dict[str, Any]:
        """Return the settings of the run.

        Raises:
            RunError: If `config.json` is damaged.
        """
        file = self.path / "config.json"
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{file} is damaged: {error}") from error
        if not isinstance(config, dict):
            raise RunError(f"{file} is damaged: it holds no object.")
        return config

    def log(self, line: Epoch, state: State) -> None:
        """Append an epoch to `metrics.jsonl` and save its state and weights."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line._asdict()) + "\n")
        self.save(state)

    def save(self, state: State) -> None:
        """Save a state to `checkpoints/`, keeping the last two, and its weights."""
        import orbax.checkpoint as ocp  # a second of imports that only this needs

        options = ocp.CheckpointManagerOptions(
            max_to_keep=2, enable_async_checkpointing=False
        )
        folder = (self.path / "checkpoints").absolute()
        with ocp.CheckpointManager(folder, options=options) as manager:
            manager.save(int(state.step), args=ocp.args.StandardSave(state))
        save_weights(self.weights, state)

    def restore(self, like: State) -> State:
        """Return the state of the last checkpoint.

        Args:
            like: A state of the same learner, for its shapes; its values are not used.

        Raises:
            RunError: If there is no checkpoint.
        """
        import orbax.checkpoint as ocp

        folder = (self.path / "checkpoints").absolute()
        if not folder.is_dir():
            raise RunError(f"{self.path} has no checkpoints.")
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        with ocp.CheckpointManager(folder) as manager:
            step = manager.latest_step()
            if step is None:
                raise RunError(f"{folder} has no checkpoint.")
            return manager.restore(step, args=ocp.args.StandardRestore(shapes))

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        write_whole(self.path / name, (json.dumps(content, indent=2) + "\n").encode())


def fresh_path(parent: Path, name: str) -> Path:
    """Return a path in `parent` that is free: name, time, perhaps a number."""
    stem = parent / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = stem, 1
    while path.exists():
        number += 1
        path = stem.with_name(f"{stem.name}-{number}")
    return path
