"""The members of a sweep: their settings, saved parts and results."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data import Dataset
from fdl.files import write_whole
from fdl.learner import State
from fdl.members import member
from fdl.runs.outcomes import Outcome, Split, column, order, outcome, ranked
from fdl.runs.part import Part, Row
from fdl.runs.parts import SweepParts, content_of
from fdl.runs.settings import change, settings
from fdl.runs.space import configurations, groups, tuned, varied
from fdl.tasks import Config, Task, Trained, outline
from fdl.train import evaluate


class Members:
    """The members of a sweep, and the contents of its folder.

    Attributes:
        task: The task.
        configs: The settings of each member.
        dataset: The data, prepared.
        folder: The folder of the sweep.
        epochs: Total number of epochs of all members; None if halving decides.
        numbers: The configuration of each member, as a number from 0.
        varied: Names of the settings that differ between members.
        parts: The saved part of each chunk, by its round and first member.
        rows: The rows of metrics, by member and epoch.
    """

    def __init__(
        self,
        task: Task,
        configs: Sequence[Config],
        dataset: Dataset,
        folder: Path,
        *,
        halving: bool = False,
    ) -> None:
        """Describe the members, and read their saved parts from the folder.

        Args:
            task: The task.
            configs: The settings of each member.
            dataset: The data, prepared.
            folder: The folder of the sweep, which is made when it is needed.
            halving: Whether not all members are trained to the end.

        Raises:
            RunError: If the folder has parts of members with other settings.
        """
        self.task, self.dataset, self.folder = task, dataset, folder
        self.configs = list(configs)
        every = sum(config.epochs for config in self.configs)
        self.epochs = None if halving else every
        self.numbers = configurations(self.configs)
        self.varied = varied(self.configs)
        self._files = SweepParts(folder / "parts")
        self._outlines: dict[int, State] = {}
        self.parts: dict[tuple[int, int], Part] = {}
        self.rows: dict[tuple[int, int], Row] = {}
        for part in self._files.read(len(configs), self.digest, self._shapes):
            self._note(part)

    def outline(self, k: int) -> Trained:
        """Return a member before training; its state consists of shapes and types."""
        config = self.configs[k]
        own = settings(config)
        return outline(
            self.task,
            config,
            self.dataset.info,
            hparams={name: own[name] for name in tuned(self.configs)},
            change=change,
        )

    def _shapes(self, k: int) -> State:
        """Return the shapes and types of a member's state, cached for each program."""
        first = self._alike[k]
        if first not in self._outlines:
            self._outlines[first] = self.outline(first).state
        return self._outlines[first]

    @functools.cached_property
    def _alike(self) -> dict[int, int]:
        """The first member that shares a program with each member."""
        found = [group.members.tolist() for group in groups(self.configs)]
        return {k: inside[0] for inside in found for k in inside}

    def table(self) -> list[Row]:
        """Return all rows, by member and epoch."""
        return [self.rows[place] for place in sorted(self.rows)]

    def last_rows(self) -> dict[int, Row]:
        """Return the row of each member after its last epoch."""
        return {row["member"]: row for row in self.table()}

    def outcomes(self, numbers: Collection[int] | None = None) -> list[Outcome]:
        """Return the outcomes of configurations, the best first.

        Args:
            numbers: The configurations; None for all.
        """
        wanted = sorted(set(self.numbers) if numbers is None else numbers)
        last = self.last_rows()
        return ranked((self._outcome(one, last) for one in wanted), self.task.mode)

    def best(self) -> int | None:
        """Return the best member of the best configuration.

        It is None if all diverged, or nothing was held out to choose by.
        """
        first = self.outcomes()[0]
        if not first.values:
            return None
        place = int(np.argmin([order(x, self.task.mode) for x in first.values]))
        for k, config in enumerate(self.configs):
            same = self.numbers[k] == first.number
            if same and config.seed == first.seeds[place]:
                return k
        return None

    def digest(self, some: Sequence[int]) -> str:
        """Return a SHA-256 of the settings of members, apart from their data set."""
        said = [{**dataclasses.asdict(self.configs[k]), "dataset": ""} for k in some]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def seconds(self) -> float:
        """The training time of all saved parts."""
        return sum(part.seconds for part in self.parts.values())

    def states(
        self, wanted: Collection[int] | None = None, *, round: int | None = None
    ) -> dict[int, State]:
        """Return the states of members that have finished a round.

        Args:
            wanted: The members; None for all.
            round: The round of halving; None for the last that each has finished.
        """
        wanted = range(len(self.configs)) if wanted is None else wanted
        states: dict[int, State] = {}
        for part in self.parts.values():
            if part.over and round in (None, part.round):
                inside = [i for i, k in enumerate(part.members) if k in wanted]
                state = self.state(part) if inside else None
                states |= {part.members[i]: member(state, i) for i in inside}
        return states

    def state(self, part: Part) -> State:
        """Return the state of the members of a part."""
        return self._files.state(part, self._shapes(part.members[0]))

    def keep(self, part: Part, state: State) -> None:
        """Save members as far as they are trained."""
        self._files.write(part, state)
        self._note(part)

    def content(self, part: Part) -> bytes:
        """Return the content of the file of a part."""
        return self._files.file(part).read_bytes()

    def receive(self, name: str, content: bytes) -> list[Row]:
        """Save members that another process trains; return their new rows.

        Args:
            name: Name of the file of their part, as that process wrote it.
            content: Content of that file.

        Raises:
            RunError: If it is damaged.
        """
        part = self._files.receive(name, content, len(self.configs), self._shapes)
        known = self.rows.keys()
        new = [row for row in part.rows if (row["member"], row["epoch"]) not in known]
        self._note(part)
        return new

    def excerpt(self, some: Sequence[int], round: int) -> tuple[str, bytes]:
        """Return name and content of the file of a part with only these members.

        Args:
            some: Members that have finished a round.
            round: That round of halving.
        """
        wanted, states = set(some), self.states(some, round=round)
        inside = [
            part
            for part in self.parts.values()
            if part.over and part.round == round and wanted & {*part.members}
        ]
        rows = [row for part in inside for row in part.rows if row["member"] in wanted]
        part = inside[0]._replace(
            members=list(some), settings=self.digest(some), seconds=0.0, rows=rows
        )
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *(states[k] for k in some))
        return part.name, content_of(part, stacked)

    def _note(self, part: Part) -> None:
        self.parts[part.round, part.members[0]] = part
        self.rows |= {(row["member"], row["epoch"]): row for row in part.rows}

    def write_table(self) -> None:
        """Write `members.csv`, a line for each member and epoch."""
        table = self.table()
        names = list(dict.fromkeys(name for row in table for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        write_whole(self.folder / "members.csv", text.getvalue().encode())

    def finish(self, k: int, state: State, part: Split) -> Row:
        """Return the task's own metrics of a trained member, on a part of the data."""
        folder = self.folder / "members" / str(k)
        folder.mkdir(parents=True, exist_ok=True)
        trained = dataclasses.replace(self.outline(k), state=state)
        measured_on = self.dataset._replace(test=getattr(self.dataset, part))
        if part != "test":
            measured_on = measured_on._replace(references=None)
        measured = self.task.finish(trained, measured_on, folder)
        return {column(name, part): value for name, value in measured.items()}

    def test(
        self, measure: Callable[[list[int]], Iterable[tuple[int, Row]]] | None = None
    ) -> None:
        """Evaluate the best configuration on the test set, after all training.

        If there is only one configuration, that means all seeds. Members that diverged
        are left out.

        Args:
            measure: Function that yields members with their test metrics; None for
                `tested`.
        """
        chosen = self.outcomes()[0].number
        last = self.last_rows()
        todo = [
            k
            for k, number in enumerate(self.numbers)
            if number == chosen
            and last[k]["diverged"] < 0
            and column(self.task.metric, "test") not in last[k]
        ]
        for k, row in (self.tested if measure is None else measure)(todo):
            last[k] |= row
        self.write_table()

    def tested(self, some: Collection[int]) -> Iterable[tuple[int, Row]]:
        """Yield trained members, each with its metrics on the test set."""
        for k, state in self.states(some).items():
            learner = self.outline(k).learner
            measured = evaluate(learner, state, self.dataset.test)
            row = {column(name, "test"): x for name, x in measured.items()}
            yield k, row | self.finish(k, state, "test")

    def _outcome(self, number: int, last: Mapping[int, Row]) -> Outcome:
        inside = [k for k, own in enumerate(self.numbers) if own == number]
        config = self.configs[inside[0]]
        return outcome(
            number,
            {name: settings(config)[name] for name in self.varied},
            config.epochs,
            [last[k] for k in inside if k in last],
            self.task.metric,
        )
