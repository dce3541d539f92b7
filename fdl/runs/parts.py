"""What a sweep keeps of its members: a file for each chunk, whole and with a digest."""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fdl.arrays import PyTree
from fdl.files import write_whole
from fdl.learner import State
from fdl.plain import Strategy
from fdl.runs.errors import RunError
from fdl.runs.seal import digest
from fdl.runs.signals import put_off
from fdl.runs.weights import fill, named_variables
from fdl.untrusted import parse_json
from fdl.weights import WeightsError, require_same_arrays

Row = dict[str, Any]
"""A member after an epoch: its number, seed and settings, and what was measured."""

_NAME = re.compile(r"(\d{2})-(\d{6})-(\d{6})\.safetensors")
_NUMBERS = ("member", "configuration", "seed", "epoch", "diverged")
_MEASURED = ("train_", "validation_")
_FACTS = "part"
_DIGEST = "sha256"


class Part(NamedTuple):
    """Members that are trained together, as far as they are.

    Attributes:
        round: The round of halving, from 0.
        members: Their numbers.
        settings: A digest of their settings.
        epoch: Passes over the data that they have made.
        step: Updates that they have made, unless they fell.
        over: Whether that is all of this round.
        strategy: How they become a program.
        size: Members in their chunk, those among them that only fill it up.
        seconds: What it took to train them.
        rows: What was measured in this round, by member and epoch.
    """

    round: int
    members: list[int]
    settings: str
    epoch: int
    step: int
    over: bool
    strategy: Strategy
    size: int
    seconds: float
    rows: list[Row]


class SweepParts(NamedTuple):
    """The folder of the parts.

    The file of a chunk is written after each epoch, and the one before it is deleted
    when two newer ones are intact, or the round is over.

    Attributes:
        folder: Where they are; it is made when the first is written.
    """

    folder: Path

    def write(self, part: Part, state: State) -> None:
        """Keep some members, and forget what they were two epochs ago.

        Signals wait for it, see `fdl.runs.signals`.

        Raises:
            RunError: If what was written is not what is read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = np.frombuffer(json.dumps(part._asdict()).encode(), np.uint8)
        arrays = {
            name: np.array(x, order="C")
            for name, x in named_variables(_plain(state)).items()
        } | {_FACTS: facts}
        file = self.file(part)
        with put_off():
            write_whole(file, save(arrays, {_DIGEST: digest(arrays)}))
            _read(file)
            before = [one for one in self._files(part) if one < file]
            kept = {file, *before[-1:]} if not part.over else {file}
            for other in self._files(part):
                if other not in kept:
                    other.unlink()

    def read(self, count: int) -> list[Part]:
        """Return the parts of a sweep of so many: of each chunk, the newest intact.

        What is damaged is named by a warning.
        """
        found: dict[tuple[int, int], Part] = {}
        damaged: list[tuple[tuple[int, int], str]] = []
        for file in sorted(self.folder.glob("*.safetensors"), reverse=True):
            name = _NAME.fullmatch(file.name)
            if name is None:
                continue
            chunk = int(name[1]), int(name[2])
            if chunk in found:
                continue
            try:
                found[chunk] = _facts(_read(file), file, count)
            except RunError as error:
                damaged.append((chunk, str(error)))
        for chunk, error in damaged:
            part = found.get(chunk)
            again = "anew" if part is None else f"from epoch {part.epoch}"
            warnings.warn(f"{error} Its members are trained {again}.", stacklevel=2)
        return [found[chunk] for chunk in sorted(found)]

    def state(self, part: Part, one: State) -> State:
        """Return the state of a part's members.

        Args:
            part: The part.
            one: The state of one of them; only its shapes and types are used.

        Raises:
            RunError: If it is damaged, or the state of another learner.
        """
        file = self.file(part)
        arrays = _read(file)
        del arrays[_FACTS]
        count = len(part.members)
        many = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one
        )
        try:
            require_same_arrays(
                arrays, named_variables(jax.eval_shape(_plain, many)), file
            )
        except WeightsError as error:
            raise RunError(
                f"{error} Delete it, and its members are trained anew."
            ) from error
        state = fill(many, {name: jax.numpy.asarray(x) for name, x in arrays.items()})
        return jax.tree.map(
            lambda x, like: jax.random.wrap_key_data(x) if _is_key(like) else x,
            state,
            many,
        )

    def file(self, part: Part) -> Path:
        """Return where a part is."""
        return self.folder / _name(part)

    def _files(self, part: Part) -> list[Path]:
        """Return the files of a part's chunk, the newest last."""
        chunk = self.file(part).name.rpartition("-")[0]
        found = self.folder.glob(f"{chunk}-*.safetensors")
        return sorted(file for file in found if _NAME.fullmatch(file.name))


def _name(part: Part) -> str:
    return f"{part.round:02d}-{part.members[0]:06d}-{part.epoch:06d}.safetensors"


def _is_key(x: Any) -> bool:
    return jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(state: PyTree) -> PyTree:
    """Return a state with numbers for its random keys."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, state)


def _read(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that is as it was written.

    Raises:
        RunError: If it is not.
    """
    try:
        with safe_open(file, "numpy") as content:
            said = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise RunError(f"{file} is damaged: {error}.") from error
    if said.get(_DIGEST) != digest(arrays):
        raise RunError(f"{file} is damaged: it is not what was written.")
    return arrays


def _facts(arrays: Mapping[str, np.ndarray], file: Path, count: int) -> Part:
    """Return what a file says of its members.

    Raises:
        RunError: If it is of no members of a sweep of `count`.
    """
    try:
        part = Part(**parse_json(arrays[_FACTS].tobytes()))
        first, *others = part.members
        measures: list[Any] = [part.seconds]
        numbers = [part.round, part.epoch, part.step, part.size, first, *others]
        for row in part.rows:
            numbers += [row[name] for name in _NUMBERS]
            measures += [x for name, x in row.items() if name.startswith(_MEASURED)]
        good = (
            all(type(number) is int for number in numbers)
            and {*part.members} == {row["member"] for row in part.rows}
            and _name(part) == file.name
            and 0 <= min(part.members) <= max(part.members) < count
            and type(part.settings) is str
            and part.strategy in get_args(Strategy)
            and all(type(x) is float for x in measures)
        )
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{file} is damaged: {error!r}.") from error
    if not good:
        raise RunError(f"{file} is damaged: it holds no members of this sweep.")
    return part
