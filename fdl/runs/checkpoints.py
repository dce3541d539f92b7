"""The checkpoints of a run: the last few, to resume from, and the best."""

import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from safetensors.numpy import save

from fdl.learner import State
from fdl.metrics import Metrics
from fdl.runs.errors import RunError
from fdl.runs.history import HISTORY, as_lines, read_history
from fdl.runs.states import (
    UNFINISHED,
    is_ours,
    require_intact,
    restore_state,
    save_state,
)
from fdl.runs.weights import fill, named_variables
from fdl.train import EarlyStopping, Epoch
from fdl.weights import WeightsError, read_safetensors, require_same_arrays

Found = TypeVar("Found")

_KEPT = 3
_SUMS = "sums.safetensors"


class Checkpoint(NamedTuple):
    """A point of a training to resume from.

    Attributes:
        state: The state.
        history: The epochs that it has made.
        sums: The sums of the training metrics of an unfinished epoch, as for `fdl.fit`;
            None for a state between epochs.
    """

    state: State
    history: tuple[Epoch, ...] = ()
    sums: Metrics | None = None

    @property
    def step(self) -> int:
        """Number of updates made."""
        return int(self.state.step)


class Checkpoints(NamedTuple):
    """The folder of the checkpoints, each in a subfolder named by its update number.

    Attributes:
        folder: The folder, which is created with the first checkpoint.
    """

    folder: Path

    def save(self, moment: Checkpoint, *, best: int | None = None) -> None:
        """Save a checkpoint; keep two before it, the last epoch's and that of `best`.

        Older ones are deleted once this one is known to be intact on disk.

        Raises:
            RunError: If it is not.
        """
        self.folder.mkdir(exist_ok=True)
        place = self._at(moment.step)
        if not _is_intact(place):
            _remove(place)
            if place.exists():
                raise RunError(f"{place} was not written by fdl: move it elsewhere.")
            beside = {HISTORY: as_lines(moment.history)}
            if moment.sums is not None:
                sums = named_variables(moment.sums)
                beside[_SUMS] = save({name: np.asarray(x) for name, x in sums.items()})
            save_state(place, moment.state, beside)
            require_intact(place)
        found = self.found()
        kept = {best, *(line.step for line in moment.history[-1:])}
        for path in found[: found.index(place) + 1][:-_KEPT]:
            if int(path.name) not in kept:
                _remove(path)
        for path in self.folder.glob(UNFINISHED):
            shutil.rmtree(path, ignore_errors=True)

    def restore(self, step: int | None, like: State) -> State:
        """Return the state after a number of updates, or the newest intact before it.

        Args:
            step: The number of updates; None for the newest state.
            like: A state of the same learner, for its shapes.

        Raises:
            RunError: If no checkpoint is intact.
        """
        found = self.found()
        if not found:
            raise RunError(f"{self.folder} has no checkpoint: train the run again.")
        if step is not None:
            found = [path for path in found if int(path.name) < step]
            found.append(self._at(step))
        return _first_intact(found, lambda place: restore_state(place, like))

    def newest(
        self, like: State, sums: Metrics, stopping: EarlyStopping | None
    ) -> tuple[Checkpoint | None, State | None]:
        """Return the newest intact checkpoint, and the best state before it.

        Args:
            like: A state of the same learner, for its shapes.
            sums: Metrics of a step of the same learner, for their shapes.
            stopping: The rule for the best state; None if that is not needed.

        Returns:
            The checkpoint, None if there never was one; and the best state, None if
            that is the checkpoint's own or not needed.

        Raises:
            RunError: If no checkpoint is intact.
        """

        def read(place: Path) -> tuple[Checkpoint, State | None]:
            state = restore_state(place, like)
            moment = Checkpoint(state, read_history(place), _read(place, sums))
            best = None if stopping is None else stopping.best(moment.history)
            if best is None or best.step == moment.step:
                return moment, None
            return moment, restore_state(self._at(best.step), like)

        found = self.found()
        return _first_intact(found, read) if found else (None, None)

    def found(self) -> list[Path]:
        """Return the folders of the checkpoints, in order."""
        found = [path for path in self.folder.glob("*") if path.name.isdecimal()]
        return sorted(filter(Path.is_dir, found), key=lambda path: int(path.name))

    def _at(self, step: int) -> Path:
        return self.folder / str(step)


def _first_intact(places: Sequence[Path], read: Callable[[Path], Found]) -> Found:
    """Read the last intact checkpoint; warn of damaged ones after it."""
    errors = []
    for place in reversed(places):
        try:
            found = read(place)
        except RunError as error:
            errors.append(str(error))
            continue
        for error in errors:
            warnings.warn(f"{error} {place} is used instead.", stacklevel=5)
        return found
    raise RunError(
        f"{errors[0]} No checkpoint before it is intact: train the run again, with "
        "--overwrite (from Python, overwrite=True)."
    )


def _read(place: Path, like: Metrics) -> Metrics | None:
    file, wanted = place / _SUMS, named_variables(like)
    if not file.is_file():
        return None
    try:
        sums = read_safetensors(
            file, lambda found: require_same_arrays(found, wanted, file)
        )
    except WeightsError as error:
        raise RunError(f"{error}") from error
    return fill(like, sums)


def _is_intact(place: Path) -> bool:
    try:
        require_intact(place)
    except RunError:
        return False
    return True


def _remove(place: Path) -> None:
    """Delete a state that fdl wrote, so that a kill leaves no part of it behind."""
    if place.is_dir() and is_ours(place):
        rest = place.with_name(f".{place.name}")
        shutil.rmtree(rest, ignore_errors=True)
        place.rename(rest)
        shutil.rmtree(rest)
