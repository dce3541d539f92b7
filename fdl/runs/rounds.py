"""Train the members of a sweep: all to the end, or in rounds that drop the worst."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.data import DatasetInfo
from fdl.learner import State
from fdl.members import Strategy
from fdl.runs.chunks import Chunks, Round
from fdl.runs.members import Members
from fdl.runs.part import Row
from fdl.runs.selection import require_held_out, require_measure
from fdl.runs.space import configurations, groups
from fdl.tasks import Config, Task, outline


class How(NamedTuple):
    """How members are trained; see `train_members`."""

    strategy: Strategy | None = None
    members_per_chunk: int | None = None
    on_rows: Callable[[list[Row]], None] = lambda rows: None


_ETA = 3  # of successive halving: one in this many configurations continues


def halving_rounds(
    task: Task, configs: Sequence[Config], info: DatasetInfo
) -> list[Round]:
    """Return the rounds of successive halving.

    In the first, all members are trained for a few epochs; each later round trains the
    best third of the configurations for three times as many, the last for all (Jamieson
    & Talwalkar, 2016, arXiv:1502.07943).

    Args:
        task: The task.
        configs: The settings of each member.
        info: Description of the data.

    Raises:
        ValueError: If members differ in their epochs, nothing is held out, or the
            task's metric is not measured after each epoch.
    """
    epochs = {config.epochs for config in configs}
    if len(epochs) > 1:
        raise ValueError("halving chooses epochs itself: do not sweep over them.")
    require_held_out(configs[0], "the survivors", "train everything to the end")
    require_measure(task, outline(task, configs[0], info), "halving")
    count = len(set(configurations(configs)))
    (left,) = epochs
    given = [left]
    while left // _ETA >= 1 and _ETA ** len(given) <= count:
        left //= _ETA
        given.insert(0, left)
    last = len(given) - 1
    return [Round(i, epochs, i == last) for i, epochs in enumerate(given)]


def train_round(
    members: Members,
    round: Round,
    alive: list[int],
    before: dict[int, State],
    how: How,
) -> dict[int, State]:
    """Train members to the end of a round; return their states.

    Args:
        members: All members of the sweep.
        round: How far to train.
        alive: The members to train.
        before: Their states after the previous round, if there was one.
        how: How to train them.
    """
    states = members.states(alive, round=round.number)
    for group in groups(members.configs, alive):
        states |= train_group(
            Chunks(members, group, round, how.on_rows),
            before,
            left=[k for k in group.members.tolist() if k not in states],
            strategy=how.strategy,
            members_per_chunk=how.members_per_chunk,
        )
    return states


TrainRound = Callable[
    [Members, Round, list[int], dict[int, State], How], dict[int, State]
]
"""`train_round`, or a function that does the same elsewhere, which need not return the
states."""


def train_members(
    members: Members,
    rounds: list[Round],
    *,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
    train_round: TrainRound = train_round,
) -> None:
    """Train members that are not trained yet, round by round, and save them.

    Chunks that were interrupted resume from their last epoch, and end with the same
    bits.

    Args:
        members: The members to train.
        rounds: The rounds of halving; a single `Round()` trains all to the end.
        strategy: As for `fit_many`; None for that of the chunks already begun.
        members_per_chunk: As for `fit_many`; None for that of the chunks already begun.
        on_rows: Called with the rows of an epoch of some members.
        train_round: The function that trains a round.
    """
    how = How(strategy, members_per_chunk, on_rows)
    alive = list(range(len(members.configs)))
    before: dict[int, State] = {}
    try:
        for round in rounds:
            before = train_round(members, round, alive, before, how)
            if not round.final:
                alive = _survivors(members, alive)
    finally:
        members.write_table()


def _survivors(members: Members, alive: list[int]) -> list[int]:
    """Return the finite members of the best third of the configurations."""
    found = members.outcomes({members.numbers[k] for k in alive})
    best = {one.number for one in found[: math.ceil(len(found) / _ETA)]}
    last = members.last_rows()
    return [k for k in alive if members.numbers[k] in best and last[k]["diverged"] < 0]


def train_group(
    chunks: Chunks,
    before: dict[int, State],
    *,
    left: list[int],
    strategy: Strategy | None,
    members_per_chunk: int | None,
) -> dict[int, State]:
    """Train the remaining members of a group; return their states.

    Args:
        chunks: Trains and saves the group's members.
        before: The states of the previous round.
        left: The members to train.
        strategy: As for `train_members`.
        members_per_chunk: As for `train_members`.
    """
    states: dict[int, State] = {}
    known = chunks.known()
    for part in known:
        if not part.over:
            states |= chunks.resume(part)
    left = [k for k in left if k not in states]
    if known:
        strategy = known[0].strategy if strategy is None else strategy
        size = known[0].size if members_per_chunk is None else members_per_chunk
        members_per_chunk = size
    if left:
        start = [before[k] for k in left] if before else None
        states |= chunks.train(
            left,
            None if start is None else jax.tree.map(lambda *x: jnp.stack(x), *start),
            strategy=strategy,
            members_per_chunk=members_per_chunk,
        )
    return states
