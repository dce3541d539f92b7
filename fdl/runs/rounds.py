"""Train the members of a sweep: all at once, or in rounds that leave out the worst."""

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
    """How members are trained, and who is told; see `train_members`."""

    strategy: Strategy | None = None
    members_per_chunk: int | None = None
    on_rows: Callable[[list[Row]], None] = lambda rows: None


_ETA = 3  # of successive halving: one in so many goes on


def halving_rounds(
    task: Task, configs: Sequence[Config], info: DatasetInfo
) -> list[Round]:
    """Return the rounds of successive halving.

    In the first, all members are trained for a few epochs; each other trains the best
    third of the configurations for three times as many, the last for all (Jamieson &
    Talwalkar, 2016, arXiv:1502.07943).

    Args:
        task: What is trained.
        configs: The settings of each member.
        info: The data.

    Raises:
        ValueError: If members differ in their epochs, nothing is held out, or nothing
            tells after an epoch how good a member is.
    """
    epochs = {config.epochs for config in configs}
    if len(epochs) > 1:
        raise ValueError("halving gives out epochs itself: do not sweep over them.")
    require_held_out(configs[0], "what goes on", "train everything to the end")
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
        round: How far they are trained.
        alive: Those that are.
        before: Their states after the round before, if there was one.
        how: How they are trained.
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
"""`train_round`, or what does the same elsewhere: that may keep the states there, and
return none."""


def train_members(
    members: Members,
    rounds: list[Round],
    *,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
    train_round: TrainRound = train_round,
) -> None:
    """Train what is not trained yet, round by round; the folder keeps it.

    What was begun goes on from its last epoch, and ends with the same bits.

    Args:
        members: What to train.
        rounds: How far, and which go on: a single `Round()` trains all to the end.
        strategy: As in `fit_many`; None for that of what was begun.
        members_per_chunk: As in `fit_many`; None for that of what was begun.
        on_rows: Called with what an epoch of some members gave.
        train_round: What trains them.
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
    """Train those members of a group that are left; return their states.

    Args:
        chunks: What trains and keeps them.
        before: The states of the round before.
        left: Which members.
        strategy: As in `train_members`.
        members_per_chunk: As in `train_members`.
    """
    states: dict[int, State] = {}
    known = chunks.known()
    for part in known:
        if not part.over:
            states |= chunks.go_on(part)
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
