"""What a sweep keeps of its members, in parts: each is there whole or not at all."""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from fdl.learner import State
from fdl.members import member
from fdl.runs.errors import RunError
from fdl.runs.states import restore_state, save_state

Row = dict[str, Any]
"""A member after an epoch: its number, seed and settings, and what was measured."""


class SweepParts(NamedTuple):
    """The folder of the parts; each holds some members after a round of training.

    Attributes:
        folder: Where they are; it is made when the first is written.
    """

    folder: Path

    def write(
        self, round: int, members: Sequence[int], state: State, rows: Sequence[Row]
    ) -> None:
        """Keep some members, under the number of the round and the first of them."""
        unfinished = self.folder / f".{round:02d}-{members[0]:06d}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        save_state(unfinished / "state", state)
        for name, content in (("members", members), ("rows", rows)):
            file = unfinished / f"{name}.json"
            file.write_text(json.dumps(content), encoding="utf-8")
        unfinished.rename(self.folder / unfinished.name[1:])

    def rows(self) -> list[Row]:
        """Return the rows of all parts.

        Raises:
            RunError: If one of them is damaged.
        """
        files = sorted(self.folder.glob("[0-9]*/rows.json"))
        return [row for file in files for row in _read(file)]

    def states(
        self,
        wanted: Collection[int],
        outline: Callable[[int], State],
        round: int | None = None,
    ) -> dict[int, State]:
        """Return the states of those members that have one.

        Args:
            wanted: Which members.
            outline: `member -> state`, of which only shapes and types are used.
            round: The round to look at; None for all, of which the last counts.

        Raises:
            RunError: If one of them is damaged.
        """
        states: dict[int, State] = {}
        pattern = "[0-9]*" if round is None else f"{round:02d}-*"
        for part in sorted(self.folder.glob(pattern)):
            inside = _read(part / "members.json")
            if set(inside).isdisjoint(wanted):
                continue
            state = restore_state(part / "state", _of(len(inside), outline(inside[0])))
            states |= {k: member(state, i) for i, k in enumerate(inside) if k in wanted}
        return states


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} is damaged: {error}. Delete {file.parent}, and repeat the sweep's "
            "command to train its members again."
        ) from error


def _of(count: int, one: State) -> State:
    """Return the outline of a state of many members, each with the shapes of one."""
    shape = lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype)
    return jax.tree.map(shape, one)
