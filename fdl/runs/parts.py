"""What a sweep keeps of its members: a file for each chunk, whole and with a digest."""

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
from fdl.runs.signals import put_off
from fdl.runs.states import is_key, without_keys
from fdl.runs.weights import fill, named_variables
from fdl.weights import Declared, WeightsError, require_same_arrays


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
        with put_off():
            write_whole(self.file(part), content_of(part, state))
            self._arrays(part, state)
            self._forget_older(part)

    def receive(
        self, name: str, content: bytes, count: int, outline: Callable[[int], State]
    ) -> Part:
        """Keep some members, as `write`, given the file that another process wrote.

        Args:
            name: Its name.
            content: What is in it.
            count: As for `read`.
            outline: As for `read`.

        Raises:
            RunError: If it is damaged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / Path(name).name
        with put_off():
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
        """Return the parts of a sweep: of each chunk, the newest intact.

        What is damaged is named by a warning.

        Args:
            count: How many members the sweep has.
            settings: Returns a digest of the settings of members.
            outline: Returns the state of a member, of which only shapes and types are
                used.

        Raises:
            RunError: If a part is of members with other settings.
        """
        found = []
        for files in part_files(self.folder).values():
            damaged, again = [], "anew"
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
                        f"{file} is of members with other settings than config.json "
                        "says: put that back as it was, or delete the part, and its "
                        "members are trained anew."
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
            RunError: If it is damaged, or the state of another learner.
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
        """Return where a part is."""
        return self.folder / part.name

    def _arrays(self, part: Part, many: State) -> dict[str, np.ndarray]:
        """Return the arrays of a part's file, if they are as they were written.

        Raises:
            RunError: If they are not, or not those of such a state of all its members.
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
    """Return the state of a part's members, given that of one; shapes and types."""
    count = len(part.members)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one)
