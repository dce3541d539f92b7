"""Members of a sweep that share a program: trained in chunks, saved every epoch."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from fdl.learner import State
from fdl.members import Strategy, member
from fdl.runs.job import bucketed
from fdl.runs.members import Members
from fdl.runs.outcomes import column
from fdl.runs.part import Part, Row
from fdl.runs.settings import change, settings
from fdl.runs.space import Group
from fdl.tasks import make_learner
from fdl.train import Epoch, FitManyResult, FitResult, fit_many

Chunk = Int[np.ndarray, " chunk"]

_CHUNKS = 10  # per epoch; signals are handled between them
_LONG = 1.0  # seconds; states that take longer to write are written less often
_SHARE = 0.1  # the largest share of the time that is spent on that


class Round(NamedTuple):
    """A round of training for the remaining members.

    Attributes:
        number: Its number, from 0.
        epochs: Total number of passes over the data; None for that of their settings.
        final: Whether it is the last round.
    """

    number: int = 0
    epochs: int | None = None
    final: bool = True


class Chunks:
    """Trains members of a group, and saves each chunk after each of its epochs."""

    def __init__(
        self,
        members: Members,
        group: Group,
        round: Round,
        on_rows: Callable[[list[Row]], None],
    ) -> None:
        """Prepare to train.

        Args:
            members: All members of the sweep.
            group: The members that share a program.
            round: How far they are trained.
            on_rows: Called with the rows of an epoch of some members.
        """
        self._members, self._group, self._round = members, group, round
        self._on_rows = on_rows
        self._place = {k: place for place, k in enumerate(group.members.tolist())}

    def known(self) -> list[Part]:
        """Return the saved parts of the group in this round."""
        return [
            part
            for part in self._members.parts.values()
            if part.round == self._round.number
            and self._place.keys() >= set(part.members)
        ]

    def train(
        self,
        some: list[int],
        state: State | None,
        *,
        strategy: Strategy | None,
        members_per_chunk: int | None,
        begun: Part | None = None,
    ) -> dict[int, State]:
        """Train members to the end of the round; return their states.

        Args:
            some: The members to train.
            state: The state to start from; None for random parameters.
            strategy: As for `fit_many`.
            members_per_chunk: As for `fit_many`.
            begun: The part to resume, if any.
        """
        keeper = _Keeper(self._members, self._round, some, self._on_rows, begun)
        run = self._fit_many(
            some,
            state=state,
            history=() if begun is None else _history(begun),
            strategy=strategy,
            members_per_chunk=members_per_chunk,
            on_start=keeper.on_start,
            on_epoch=keeper.on_epoch,
            on_end=keeper.on_end,
        )
        return {k: member(run.state, place) for place, k in enumerate(some)}

    def plan(
        self, some: list[int], strategy: Strategy | None, members_per_chunk: int | None
    ) -> tuple[Strategy, int]:
        """Return the strategy and the number of members at a time that `train` uses.

        Args:
            some: The members to train.
            strategy: As for `fit_many`.
            members_per_chunk: As for `fit_many`.
        """
        if strategy is not None and members_per_chunk is not None:
            return strategy, members_per_chunk

        def leave(*found: Any) -> None:
            raise _Planned(*found)

        try:
            self._fit_many(
                some,
                strategy=strategy,
                members_per_chunk=members_per_chunk,
                on_start=leave,
            )
        except _Planned as planned:
            return planned.args
        raise AssertionError("fit_many calls on_start before it trains")

    def _fit_many(self, some: list[int], **options: Any) -> FitManyResult:
        members, group = self._members, self._group
        config, dataset = group.config, members.dataset
        places = [self._place[k] for k in some]
        steps = -(-dataset.info.train_count // config.batch_size)
        train, validation = bucketed(members.task, dataset, config)
        return fit_many(
            make_learner(members.task, config, dataset.info, change),
            {name: values[places] for name, values in group.hparams.items()},
            train,
            epochs=self._round.epochs or config.epochs,
            batch_size=config.batch_size,
            keys=jnp.stack([jax.random.key(members.configs[k].seed) for k in some]),
            validation_data=validation,
            steps_per_chunk=max(1, steps // _CHUNKS),
            **options,
        )

    def resume(self, part: Part) -> dict[int, State]:
        """Resume members that were interrupted; return their states."""
        return self.train(
            part.members,
            self._members.state(part),
            strategy=part.strategy,
            members_per_chunk=part.size,
            begun=part,
        )


class _Planned(Exception):
    """Leaves `fit_many` with its strategy and chunk size, before it trains."""


class _Keeper:
    """Saves the chunks of `fit_many`, as its callbacks."""

    def __init__(
        self,
        members: Members,
        round: Round,
        some: list[int],
        on_rows: Callable[[list[Row]], None],
        begun: Part | None,
    ) -> None:
        self._members, self._round, self._some = members, round, some
        self._on_rows = on_rows
        self._rows: dict[int, list[Row]] = defaultdict(list)
        for row in [] if begun is None else begun.rows:
            self._rows[row["member"]].append(row)
        self._since = time.perf_counter() - (0.0 if begun is None else begun.seconds)
        self._due = 0.0

    def on_start(self, strategy: Strategy, size: int) -> None:
        self._strategy: Strategy = strategy
        self._size = size

    def on_epoch(self, chunk: Chunk, line: Epoch, state: State) -> None:
        inside = [self._some[i] for i in chunk]
        new = [_row(self._members, k, line, i) for i, k in enumerate(inside)]
        for row in new:
            rows = self._rows[row["member"]]
            rows.append(row)
            if row["diverged"] >= 0:  # all rows of a member show that it diverged
                for one in rows:
                    one["diverged"] = row["diverged"]
        if time.perf_counter() >= self._due:
            self._keep(inside, line, state, over=False)
        self._on_rows(new)

    def on_end(self, chunk: Chunk, end: FitResult) -> None:
        members = self._members
        inside = [self._some[i] for i in chunk]
        for i, k in enumerate(inside):
            last = self._rows[k][-1]
            missing = column(members.task.metric) not in last
            held_out = members.dataset.validation is not None
            if self._round.final and last["diverged"] < 0 and missing and held_out:
                last |= members.finish(k, member(end.state, i), "validation")
        self._keep(inside, end.history[-1], end.state, over=True)
        self._rows.clear()
        self._since, self._due = time.perf_counter(), 0.0

    def _keep(
        self, inside: list[int], line: Epoch, state: State, *, over: bool
    ) -> None:
        started = time.perf_counter()
        part = Part(
            self._round.number,
            inside,
            self._members.digest(inside),
            line.epoch,
            line.step,
            over,
            self._strategy,
            self._size,
            started - self._since,
            [row for k in inside for row in self._rows[k]],
        )
        self._members.keep(part, state)
        took = time.perf_counter() - started
        self._due = started + took / _SHARE if took > _LONG else 0.0


def _history(part: Part) -> list[Epoch]:
    """Return the epochs of a part, with as much as training needs to resume."""
    lines: dict[int, list[Row]] = defaultdict(list)
    for row in part.rows:
        lines[row["epoch"]].append(row)
    return [
        Epoch(
            epoch,
            part.step * epoch // part.epoch,
            np.array([_was_trained(row) for row in rows]),
            {},
            {},
            0.0,
            np.array([row["diverged"] for row in rows]),
        )
        for epoch, rows in sorted(lines.items())
    ]


def _row(members: Members, k: int, line: Epoch, place: int) -> Row:
    """Return a member's row for an epoch."""
    config = members.configs[k]
    own = settings(config)
    row: Row = {
        "member": k,
        "configuration": members.numbers[k],
        "seed": config.seed,
        **{name: _plain(own[name]) for name in members.varied},
        "epoch": line.epoch,
        "diverged": int(np.asarray(line.diverged)[place]),
    }
    if not np.asarray(line.running)[place]:
        return row
    for part, measured in (("train", line.train), ("validation", line.validation)):
        row |= {f"{part}_{name}": float(x[place]) for name, x in measured.items()}
    return row


def _was_trained(row: Row) -> bool:
    return any(name.startswith("train_") for name in row)


def _plain(value: Any) -> Any:
    """Return a setting as JSON reads it back."""
    return list(value) if isinstance(value, tuple) else value
