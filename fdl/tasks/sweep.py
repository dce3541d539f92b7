"""Train all members of a sweep, keep what is done, and go on where it stopped."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data import Dataset
from fdl.files import write_whole
from fdl.learner import Learner, State
from fdl.metrics import Summary, summarize
from fdl.tasks.parts import Parts, Row
from fdl.tasks.space import Group, change, configurations, groups, settings, varied
from fdl.tasks.task import Config, Task, Trained, outline
from fdl.train import ManyEnd, ManyEpoch, Strategy, fit_many, member

_ETA = 3  # of successive halving: one in so many goes on


class Outcome(NamedTuple):
    """What became of a configuration.

    Attributes:
        number: Its number, from 0.
        settings: Those of its settings that are not the same for all.
        epochs: Passes over the data that it was given.
        seeds: The seeds that stayed finite.
        values: The task's metric after the last epoch, one for each of these seeds.
        diverged: Number of seeds that did not.
        summary: Of these values; None if there are none.
    """

    number: int
    settings: dict[str, Any]
    epochs: int
    seeds: list[int]
    values: list[float]
    diverged: int
    summary: Summary | None


class Sweep:
    """The members of a sweep in a folder: `parts/` as they are done, `members.csv`."""

    def __init__(
        self, task: Task, configs: Sequence[Config], dataset: Dataset, folder: Path
    ) -> None:
        """Describe it; nothing is trained yet.

        Args:
            task: What is trained.
            configs: The settings of each member.
            dataset: The data, prepared.
            folder: Where it is kept; what is in there is taken up.
        """
        self.task, self.configs, self.folder = task, list(configs), folder
        self.dataset = dataset
        self.numbers = configurations(self.configs)
        self.varied = varied(self.configs)
        self.parts = Parts(folder / "parts")
        self.rows = {(row["member"], row["epoch"]): row for row in self.parts.rows()}
        self.measure = f"test_{task.metric}"  # as rows have it

    def rank(self, value: float) -> float:
        """Return what sorts a measure, the best first and none at all last."""
        if math.isnan(value):
            return math.inf
        return -value if self.task.mode == "max" else value

    def run(
        self,
        *,
        halving: bool = False,
        strategy: Strategy | None = None,
        members_per_chunk: int | None = None,
        on_rows: Callable[[list[Row]], None] = lambda rows: None,
    ) -> None:
        """Train what is not trained yet.

        With `halving`, all members are trained for a few epochs only, the best third of
        the configurations for three times as many, and so on until the last are trained
        for all (successive halving: Jamieson & Talwalkar, 2016, arXiv:1502.07943).

        Args:
            halving: Whether to stop members early as described.
            strategy: As in `fit_many`.
            members_per_chunk: As in `fit_many`.
            on_rows: Called with what an epoch of some members gave.

        Raises:
            ValueError: If halving cannot tell how good a member is after an epoch, or
                members have different numbers of epochs to halve.
        """
        alive = list(range(len(self.configs)))
        before: dict[int, State] = {}
        rungs = self._rungs() if halving else [None]
        for rung, epochs in enumerate(rungs):
            last = rung == len(rungs) - 1
            states: dict[int, State] = {}
            for group in groups([self.configs[k] for k in alive]):
                group = group._replace(members=np.array(alive)[group.members])
                run = _Run(self, group, rung, epochs, last, on_rows)
                states |= run.train(before, strategy, members_per_chunk)
            if epochs is not None and not last:
                best = self._best(alive, epochs)
                finite = lambda k, e=epochs: self.rows[k, e]["diverged"] < 0
                alive = [k for k in alive if self.numbers[k] in best and finite(k)]
            before = states

    def table(self) -> list[Row]:
        """Return all rows, by member and epoch."""
        return [self.rows[place] for place in sorted(self.rows)]

    def outcomes(self) -> list[Outcome]:
        """Return what became of the configurations, the best first.

        Those with more epochs come before those that halving stopped.
        """
        found = [self._outcome(number) for number in sorted(set(self.numbers))]
        mean = lambda one: math.nan if one.summary is None else one.summary.mean
        return sorted(found, key=lambda one: (-one.epochs, self.rank(mean(one))))

    def best_member(self, best: Outcome) -> tuple[int, State] | None:
        """Return the best member of a configuration, or None if all diverged."""
        if not best.values:
            return None
        seed = best.seeds[int(np.argmin([self.rank(value) for value in best.values]))]
        for k, config in enumerate(self.configs):
            if self.numbers[k] == best.number and config.seed == seed:
                return k, self.kept([k])[k]
        return None

    def outline(self, k: int) -> Trained:
        """Return a member before training; of its state, only shapes and types."""
        return outline(self.task, self.configs[k], self.dataset.info)

    def kept(
        self, members: Sequence[int] | None = None, *, rung: int | None = None
    ) -> dict[int, State]:
        """Return the states of members that were trained, as far as they were.

        Args:
            members: Those that are wanted; None for all.
            rung: That of halving to look at; None for all, the last one counts.
        """
        wanted = range(len(self.configs)) if members is None else members
        return self.parts.states(wanted, lambda k: self.outline(k).state, rung)

    def _outcome(self, number: int) -> Outcome:
        members = [k for k, n in enumerate(self.numbers) if n == number]
        last = {k: max((e for m, e in self.rows if m == k), default=0) for k in members}
        rows = [self.rows[k, last[k]] for k in members if last[k]]
        good = [row for row in rows if row["diverged"] < 0 and self.measure in row]
        values = [row[self.measure] for row in good]
        return Outcome(
            number=number,
            settings={
                name: settings(self.configs[members[0]])[name] for name in self.varied
            },
            epochs=max(last.values()),
            seeds=[row["seed"] for row in good],
            values=values,
            diverged=sum(row["diverged"] >= 0 for row in rows),
            summary=summarize(np.array(values)) if good else None,
        )

    def _best(self, alive: list[int], epochs: int) -> set[int]:
        numbers = sorted({self.numbers[k] for k in alive})

        def mean(number: int) -> float:
            rows = [self.rows[k, epochs] for k in alive if self.numbers[k] == number]
            return float(np.mean([row.get(self.measure, math.nan) for row in rows]))

        numbers.sort(key=lambda number: self.rank(mean(number)))
        return set(numbers[: math.ceil(len(numbers) / _ETA)])

    def _rungs(self) -> list[int]:
        epochs = {config.epochs for config in self.configs}
        if len(epochs) > 1:
            raise ValueError("halving gives out epochs itself: do not sweep over them.")
        one = jax.tree.map(lambda x: x[:1], self.dataset.test)
        trained = self.outline(0)
        measured = jax.eval_shape(trained.learner.evaluate, trained.state, one)
        if self.task.metric not in measured:
            raise ValueError(
                f"halving needs a measure after an epoch, but {self.task.metric} of "
                f"task {self.task.name!r} is taken at the end."
            )
        (left,) = epochs
        rungs = [left]
        while left // _ETA >= 1 and _ETA ** len(rungs) <= len(set(self.numbers)):
            left //= _ETA
            rungs.insert(0, left)
        return rungs

    def keep(
        self, rung: int, members: list[int], state: State, rows: list[Row]
    ) -> None:
        """Keep members that were trained, and write the table with them."""
        self.parts.write(rung, members, state, rows)
        self.rows |= {(row["member"], row["epoch"]): row for row in rows}
        self.write_table()

    def write_table(self) -> None:
        """Write `members.csv`."""
        rows = self.table()
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.folder / "members.csv", text.getvalue().encode())


class _Run:
    """The members of a group, up to an epoch."""

    def __init__(
        self,
        sweep: Sweep,
        group: Group,
        rung: int,
        epochs: int | None,
        last: bool,
        on_rows: Callable[[list[Row]], None],
    ) -> None:
        self.sweep, self.group, self.rung = sweep, group, rung
        self.epochs = group.config.epochs if epochs is None else epochs
        self.last, self.on_rows = last, on_rows
        self.rows: dict[int, list[Row]] = {}
        make_model, learn = sweep.task.make_model, sweep.task.learn
        config, info = group.config, sweep.dataset.info

        def make_learner(hparams: Mapping[str, Any]) -> Learner:
            own = change(config, hparams)
            return learn(make_model(own.options, info), own, info)

        self.make_learner = make_learner

    def train(
        self,
        before: Mapping[int, State],
        strategy: Strategy | None,
        members_per_chunk: int | None,
    ) -> dict[int, State]:
        """Return the states of all members; train those that are not kept yet."""
        states = self.sweep.kept(self.group.members.tolist(), rung=self.rung)
        todo = [i for i, k in enumerate(self.group.members) if k not in states]
        if not todo:
            return states
        self.todo = [int(self.group.members[i]) for i in todo]
        start = None
        if before:
            stack = lambda *each: jnp.stack(each)
            start = jax.tree.map(stack, *(before[k] for k in self.todo))
        seeds = [self.sweep.configs[k].seed for k in self.todo]
        run = fit_many(
            self.make_learner,
            {name: values[todo] for name, values in self.group.hparams.items()},
            self.sweep.dataset.train,
            epochs=self.epochs,
            batch_size=self.group.config.batch_size,
            keys=jnp.stack([jax.random.key(seed) for seed in seeds]),
            eval_data=self.sweep.dataset.test,
            state=start,
            strategy=strategy,
            members_per_chunk=members_per_chunk,
            on_epoch=self._on_epoch,
            on_end=self._on_end,
        )
        return states | {k: member(run.state, i) for i, k in enumerate(self.todo)}

    def _on_epoch(self, line: ManyEpoch) -> None:
        rows = []
        for place, i in enumerate(line.members):
            k = self.todo[i]
            config = self.sweep.configs[k]
            measured = {f"train_{name}": x[place] for name, x in line.train.items()}
            measured |= {f"test_{name}": x[place] for name, x in line.eval.items()}
            row: Row = {
                "member": k,
                "configuration": self.sweep.numbers[k],
                "seed": config.seed,
                **{name: settings(config)[name] for name in self.sweep.varied},
                "epoch": line.epoch,
                "diverged": -1,
            }
            if line.running[place]:
                row |= {name: float(x) for name, x in measured.items()}
            rows.append(row)
            self.rows.setdefault(k, []).append(row)
        self.on_rows(rows)

    def _on_end(self, end: ManyEnd) -> None:
        members = [self.todo[i] for i in end.members]
        for place, k in enumerate(members):
            for row in self.rows[k]:
                row["diverged"] = int(end.diverged[place])
            # What no learner measures, only the task does, with the trained model.
            last = self.rows[k][-1]
            missing = self.sweep.measure not in last
            if self.last and missing and end.diverged[place] < 0:
                measured = self._finish(k, member(end.state, place))
                last |= {f"test_{what}": value for what, value in measured.items()}
        rows = [row for k in members for row in self.rows.pop(k)]
        self.sweep.keep(self.rung, members, end.state, rows)

    def _finish(self, k: int, state: State) -> dict[str, float]:
        folder = self.sweep.folder / "members" / str(k)
        folder.mkdir(parents=True, exist_ok=True)
        trained = self.sweep.outline(k)._replace(state=state)
        return self.sweep.task.finish(trained, self.sweep.dataset, folder)
