"""Train the members of a sweep: all at once, or in rounds that leave out the worst."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from fdl.data import DatasetInfo
from fdl.learner import State
from fdl.members import Strategy, member
from fdl.runs.members import Members
from fdl.runs.outcomes import column
from fdl.runs.parts import Row
from fdl.runs.selection import require_held_out, require_measure
from fdl.runs.settings import change, settings
from fdl.runs.space import Group, configurations, groups
from fdl.tasks import Config, Task, make_learner, outline
from fdl.train import Epoch, FitResult, fit_many

Chunk = Int[np.ndarray, " chunk"]

_ETA = 3  # of successive halving: one in so many goes on


class Round(NamedTuple):
    """What the members that are left are trained to.

    Attributes:
        number: Its number, from 0.
        epochs: Passes over the data, in total; None for what their settings say.
        final: Whether none comes after it.
    """

    number: int = 0
    epochs: int | None = None
    final: bool = True


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


def train_members(
    members: Members,
    rounds: list[Round],
    *,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
) -> None:
    """Train what is not trained yet, round by round; the folder keeps it.

    Args:
        members: What to train.
        rounds: How far, and which go on: a single `Round()` trains all to the end.
        strategy: As in `fit_many`.
        members_per_chunk: As in `fit_many`.
        on_rows: Called with what an epoch of some members gave.
    """
    alive = list(range(len(members.configs)))
    before: dict[int, State] = {}
    for round in rounds:
        states = members.states(alive, round=round.number)
        todo = [k for k in alive if k not in states]
        for group in groups(members.configs, todo):
            stopped = [before[int(k)] for k in group.members] if before else []
            states |= _train_group(
                members,
                group,
                round,
                start=_stack(stopped) if stopped else None,
                strategy=strategy,
                members_per_chunk=members_per_chunk,
                on_rows=on_rows,
            )
        if not round.final:
            alive = _survivors(members, alive)
        before = states


def _stack(states: list[State]) -> State:
    return jax.tree.map(lambda *each: jnp.stack(each), *states)


def _survivors(members: Members, alive: list[int]) -> list[int]:
    """Return the finite members of the best third of the configurations."""
    found = members.outcomes({members.numbers[k] for k in alive})
    best = {one.number for one in found[: math.ceil(len(found) / _ETA)]}
    last = members.last_rows()
    return [k for k in alive if members.numbers[k] in best and last[k]["diverged"] < 0]


def _train_group(
    members: Members,
    group: Group,
    round: Round,
    *,
    start: State | None,
    strategy: Strategy | None,
    members_per_chunk: int | None,
    on_rows: Callable[[list[Row]], None],
) -> dict[int, State]:
    """Train members that share a program; return their states."""
    inside = group.members.tolist()
    held_out = members.dataset.validation
    rows: dict[int, list[Row]] = defaultdict(list)

    def on_epoch(some: Chunk, line: Epoch) -> None:
        new = [_row(members, inside[i], line, place) for place, i in enumerate(some)]
        for row in new:
            rows[row["member"]].append(row)
        on_rows(new)

    def on_end(some: Chunk, end: FitResult) -> None:
        ended = [inside[i] for i in some]
        for place, k in enumerate(ended):
            at = int(np.asarray(end.diverged)[place])
            for row in rows[k]:
                row["diverged"] = at
            last = rows[k][-1]
            missing = column(members.task.metric) not in last
            if round.final and at < 0 and missing and held_out is not None:
                last |= members.finish(k, member(end.state, place), "validation")
        members.keep(
            round.number, ended, end.state, [row for k in ended for row in rows.pop(k)]
        )

    run = fit_many(
        make_learner(members.task, group.config, members.dataset.info, change),
        group.hparams,
        members.dataset.train,
        epochs=round.epochs or group.config.epochs,
        batch_size=group.config.batch_size,
        keys=jnp.stack([jax.random.key(members.configs[k].seed) for k in inside]),
        validation_data=held_out,
        state=start,
        strategy=strategy,
        members_per_chunk=members_per_chunk,
        on_epoch=on_epoch,
        on_end=on_end,
    )
    return {k: member(run.state, place) for place, k in enumerate(inside)}


def _row(members: Members, k: int, line: Epoch, place: int) -> Row:
    """Return what an epoch gave for a member."""
    config = members.configs[k]
    row: Row = {
        "member": k,
        "configuration": members.numbers[k],
        "seed": config.seed,
        **{name: settings(config)[name] for name in members.varied},
        "epoch": line.epoch,
        "diverged": -1,
    }
    if not np.asarray(line.running)[place]:
        return row
    for part, measured in (("train", line.train), ("validation", line.validation)):
        row |= {f"{part}_{name}": float(x[place]) for name, x in measured.items()}
    return row
