"""The saved parts of a sweep: a file for each chunk of members, with a checksum."""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from fdl.files import write_whole
from fdl.learner import State
from fdl.runs.errors import RunError
from fdl.runs.part import FACTS, Part, part_files, read_part
from fdl.runs.seal import read_sealed, sealed
from fdl.runs.signals import defer_signals
from fdl.runs.states import is_key, without_keys
from fdl.runs.weights import fill, named_variables
from fdl.weights import Declared, WeightsError, require_same_arrays


class SweepParts(NamedTuple):
    """The folder of the parts.

    A chunk's file is written after each epoch, and an older one is deleted when two
    newer ones are intact, or the round is finished.

    Attributes:
        folder: The folder, which is created with the first file.
    """

    folder: Path

    def write(self, part: Part, state: State) -> None:
        """Save some members, and delete their file of two epochs ago.

        Signals are delayed meanwhile, see `fdl.runs.signals`.

        Raises:
            RunError: If the file does not read back as it was written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with defer_signals():
            write_whole(self.file(part), content_of(part, state))
            self._arrays(part, state)
            self._forget_older(part)

    def receive(
        self, name: str, content: bytes, count: int, outline: Callable[[int], State]
    ) -> Part:
        """Save some members like `write`, from a file that another process wrote.

        Args:
            name: Its name.
            content: Its content.
            count: As for `read`.
            outline: As for `read`.

        Raises:
            RunError: If it is damaged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / Path(name).name
        with defer_signals():
            write_whole(file, content)
            part = read_part(file, count)
            self._arrays(part, of_all(part, outline(part.members[0])))
            self._forget_older(part)
        return part

    def _forget_older(self, part: Part) -> None:
        file = self.file(part)
        others = part_files(self.folder)[part.round, part.members[0]]
        before = [one for one in others if one < file]
        kept = {file} if part.over else {file, *before[:1]}
        for other in others:
            if other not in kept:
                other.unlink()

    def read(
        self,
        count: int,
        settings: Callable[[list[int]], str],
        outline: Callable[[int], State],
    ) -> list[Part]:
        """Return the newest intact part of each chunk of a sweep.

        Warns of damaged files.

        Args:
            count: Number of members of the sweep.
            settings: Function that returns a digest of the settings of members.
            outline: Function that returns the state of a member, of which only shapes
                and types are used.

        Raises:
            RunError: If a part has members with other settings.
        """
        found = []
        for files in part_files(self.folder).values():
            damaged, again = [], "from scratch"
            for file in files:
                try:
                    part = read_part(file, count)
                    right = part.settings == settings(part.members)
                    if right:
                        self._arrays(part, of_all(part, outline(part.members[0])))
                except RunError as error:
                    damaged.append(error)
                    continue
                if not right:
                    raise RunError(
                        f"{file} has members with other settings than config.json: "
                        "restore config.json, or delete the file to train its members "
                        "from scratch."
                    )
                found.append(part)
                again = f"from epoch {part.epoch}"
                break
            for error in damaged:
                warnings.warn(f"{error} Its members are trained {again}.", stacklevel=2)
        return sorted(found, key=lambda part: (part.round, part.members[0]))

    def state(self, part: Part, one: State) -> State:
        """Return the state of a part's members.

        Args:
            part: The part.
            one: The state of one of them; only its shapes and types are used.

        Raises:
            RunError: If it is damaged, or of another learner.
        """
        many = of_all(part, one)
        arrays = self._arrays(part, many)
        state = fill(many, {name: jax.numpy.asarray(x) for name, x in arrays.items()})
        return jax.tree.map(
            lambda x, like: jax.random.wrap_key_data(x) if is_key(like) else x,
            state,
            many,
        )

    def file(self, part: Part) -> Path:
        """Return the path of a part's file."""
        return self.folder / part.name

    def _arrays(self, part: Part, many: State) -> dict[str, np.ndarray]:
        """Return the arrays of a part's file, after checking them.

        Raises:
            RunError: If they are damaged, or not those of such a state of its members.
        """
        file = self.file(part)
        wanted = named_variables(jax.eval_shape(without_keys, many))

        def require(declared: Mapping[str, Declared]) -> None:
            states = {name: x for name, x in declared.items() if name != FACTS}
            require_same_arrays(states, wanted, file)

        try:
            arrays = read_sealed(file, require)
        except WeightsError as error:
            raise RunError(f"{file} is damaged: {error}") from error
        del arrays[FACTS]
        return arrays


def content_of(part: Part, state: State) -> bytes:
    """Return the content of the file of some members."""
    facts = np.frombuffer(json.dumps(part._asdict()).encode(), np.uint8)
    return sealed(named_variables(without_keys(state)) | {FACTS: facts}, part.step)


def of_all(part: Part, one: State) -> State:
    """Return the shapes of the state of a part's members, given those of one."""
    count = len(part.members)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one)
