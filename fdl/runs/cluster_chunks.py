"""Train chunks of members on the workers of a cluster, and collect the results.

Dask's scheduler places, balances and retries them. How members are grouped depends only
on what is trained, so a sweep ends with the same bits as on a single machine.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cloudpickle
import dask.config
import numpy as np
from distributed import Future, KilledWorker, Queue, Variable

from fdl.files import write_whole
from fdl.learner import State
from fdl.members import Strategy
from fdl.runs.chunks import Round
from fdl.runs.cluster import Absence, Workers, able_workers, unique, wait_for
from fdl.runs.cluster_worker import (
    DEVICE,
    ChunkError,
    OtherMachineError,
    Swept,
    Work,
    measure_member,
    plan_chunks,
    train_chunk,
    unpacked,
)
from fdl.runs.errors import MembersError
from fdl.runs.members import Members
from fdl.runs.part import Part, Row
from fdl.runs.rounds import How
from fdl.runs.space import Group, groups

_PAUSE = 0.1  # seconds between polls for messages of workers
_TRIES = 3  # number of workers that a chunk may fail on

OnRows = Callable[[list[Row]], None]


@dataclasses.dataclass(frozen=True, eq=False)
class _Chunk:
    """A chunk that is being trained.

    Attributes:
        work: The task of a worker.
        begun: The part of it that is already saved.
        failures: Errors, by worker.
    """

    work: Work
    begun: Part | None = None
    failures: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Return which members could not be trained, and why."""
        *_, reason = self.failures.values()
        where = ", ".join(self.failures)
        return f"{_named(self.work.members)} failed on {where}: {reason}"


class ClusterChunks:
    """Trains members on the workers of a cluster, and saves their results here."""

    def __init__(self, workers: Workers, members: Members) -> None:
        """Send the data that all chunks need.

        Args:
            workers: The workers of the cluster.
            members: The members to train.
        """
        self._client, self._wanted = workers
        self._members = members
        self._data = self._hand_out("data", members.dataset)
        self._swept = self._hand_out("sweep", Swept(members.task, members.configs))

    def train_round(
        self,
        members: Members,
        round: Round,
        alive: list[int],
        before: dict[int, State],
        how: How,
    ) -> dict[int, State]:
        """Train members to the end of a round, as `fdl.runs.rounds.train_round` does.

        Raises:
            MembersError: If some could not be trained, after all others are.
            OtherMachineError: If a worker joined that differs from the others.
        """
        chunks = list(self._left(round, alive, how))
        failed = list(self._train(chunks, how.on_rows))
        if failed:
            failed.sort(key=lambda one: one.work.members)
            raise MembersError(
                f"{'; '.join(map(str, failed))}. All others are saved; to resume: fdl "
                f"sweep --run {members.folder}"
            )
        return {}  # the states are in the folder

    def tested(self, some: Sequence[int]) -> Iterator[tuple[int, Row]]:
        """Yield trained members with their test metrics, as `Members.tested` does."""
        members = self._members
        last = {k: part.round for part in members.parts.values() for k in part.members}
        asked = {
            k: self._ask(measure_member, k, dict([members.excerpt([k], last[k])]))
            for k in some
        }
        for k, future in asked.items():
            row, pictures = self._result(future, [k])
            self._keep_pictures(pictures)
            yield k, row

    def _left(self, round: Round, alive: list[int], how: How) -> Iterator[_Chunk]:
        """Yield the chunks of a round that are not yet trained to its end."""
        members = self._members
        for group in groups(members.configs, alive):
            inside = group.members.tolist()
            known = [
                part
                for part in members.parts.values()
                if part.round == round.number and {*inside} >= {*part.members}
            ]
            for part in known:
                if not part.over:
                    work = self._work(
                        group, round, part.members, part.strategy, part.size
                    )
                    yield _Chunk(work, part)
            begun = {k for part in known for k in part.members}
            left = [k for k in inside if k not in begun]
            if not left:
                continue
            strategy, size = self._plan(_some(group, left), known, how)
            for first in range(0, len(left), size):
                some = left[first : first + size]
                yield _Chunk(self._work(group, round, some, strategy, size))

    def _plan(self, group: Group, known: list[Part], how: How) -> tuple[Strategy, int]:
        """Return the strategy and the chunk size, as on a single machine.

        They depend on the device and its memory, so a worker chooses them.
        """
        strategy, size = how.strategy, how.members_per_chunk
        if known:
            strategy, size = strategy or known[0].strategy, size or known[0].size
        if strategy is not None and size is not None:
            return strategy, size
        asked = self._ask(plan_chunks, group, strategy, size)
        return self._result(asked, group.members.tolist())

    def _work(
        self, group: Group, round: Round, some: list[int], strategy: Strategy, size: int
    ) -> Work:
        before: dict[str, bytes] = {}
        if round.number > 0:
            before = dict([self._members.excerpt(some, round.number - 1)])
        return Work(unique("chunk"), _some(group, some), round, strategy, size, before)

    def _train(self, chunks: list[_Chunk], on_rows: OnRows) -> Iterator[_Chunk]:
        """Train chunks, and save what workers send; yield chunks that failed."""
        client = self._client
        told: Any = Queue(unique("told"), client)
        parts: dict[str, Any] = {
            one.work.name: Variable(one.work.name, client) for one in chunks
        }
        running: dict[Future, _Chunk] = {}
        absence = Absence(client)
        try:
            for chunk in chunks:
                parts[chunk.work.name].set(self._kept(chunk.begun))
                running[self._start(chunk, told.name)] = chunk
            while running:
                # In this order: chunks that have ended have sent everything by then.
                ended = [future for future in running if future.done()]
                sent = [k for k in dict.fromkeys(told.get(batch=True)) if k in parts]
                for name in sent:
                    self._receive(parts[name].get(), on_rows)
                for future in ended:
                    chunk = running.pop(future)
                    if future.status != "finished":
                        if self._can_retry(chunk, future):
                            running[self._start(chunk, told.name)] = chunk
                        else:
                            yield chunk
                        continue
                    future.release()  # else it is repeated if its worker dies
                    parts.pop(chunk.work.name).delete()
                if not (ended or sent):
                    absence.look()
                    time.sleep(_PAUSE)
        finally:
            if running:
                client.cancel(list(running))
            for part in parts.values():
                part.delete()
            told.close()

    def _start(self, chunk: _Chunk, told: str) -> Future:
        """Let a worker train a chunk, preferably one on which it has not failed."""
        where: dict[str, Any] = {}
        if chunk.failures:
            able = able_workers(self._client)
            untried = [name for name in able if name not in chunk.failures]
            where = {"workers": untried, "allow_other_workers": True}
        return self._submit(train_chunk, chunk.work, told, **where)

    def _can_retry(self, chunk: _Chunk, future: Future) -> bool:
        """Record why a chunk failed; return whether there is a worker left to try.

        Raises:
            OtherMachineError: If the worker differs from the others.
        """
        error: Any = RuntimeError(f"the scheduler reports it as {future.status}")
        if future.status == "error":
            error = future.exception()
        if isinstance(error, OtherMachineError):
            raise error
        if isinstance(error, ChunkError):
            where = error.args[0]
        elif isinstance(error, KilledWorker):
            where = error.last_worker.address
        else:  # no worker got as far as trying
            chunk.failures["the cluster"] = _why(error)
            return False
        chunk.failures[where] = _why(error)
        left = set(able_workers(self._client)) - chunk.failures.keys()
        return len(chunk.failures) < _TRIES and bool(left)

    def _kept(self, part: Part | None) -> dict[str, Any] | None:
        """Return the saved part of a chunk, as workers send it."""
        if part is None:
            return None
        content = self._members.content(part)
        return {"name": part.name, "part": content, "pictures": {}}

    def _receive(self, sent: dict[str, Any], on_rows: OnRows) -> None:
        """Save what a worker has sent, and report its new epochs."""
        self._keep_pictures(sent["pictures"])
        epochs: dict[int, list[Row]] = {}
        for row in self._members.receive(sent["name"], sent["part"]):
            epochs.setdefault(row["epoch"], []).append(row)
        for epoch in sorted(epochs):
            on_rows(epochs[epoch])

    def _keep_pictures(self, pictures: Mapping[str, bytes]) -> None:
        folder = self._members.folder / "members"
        for name, content in pictures.items():
            file = folder / name
            if not file.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{name!r} is outside of {folder}.")
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content)

    def _hand_out(self, what: str, value: Any) -> Future:
        """Send a value to the workers, once to each, under its checksum.

        It is sent as a task, which the scheduler repeats if all workers die that have
        the value.
        """
        content = cloudpickle.dumps(value)
        digest = hashlib.sha256(content).hexdigest()
        with _of_any_size():
            return self._client.submit(
                unpacked,
                content,
                digest,
                key=f"fdl-{what}-{digest}",
                resources={DEVICE: 1},
            )

    def _ask(self, task: Callable[..., Any], *args: Any) -> Future:
        """Run a short task on a worker, and on others if it fails."""
        return self._submit(task, *args, retries=_TRIES - 1)

    def _submit(self, task: Callable[..., Any], *args: Any, **how: Any) -> Future:
        """Submit a task for a worker with a free device."""
        with _of_any_size():
            return self._client.submit(
                task,
                self._data,
                self._swept,
                *args,
                self._wanted,
                key=unique(task.__name__),
                resources={DEVICE: 1},
                **how,
            )

    def _result(self, future: Future, some: Sequence[int]) -> Any:
        """Return a worker's result for some members."""
        wait_for(self._client, future)
        try:
            return future.result()
        except OtherMachineError:
            raise
        except Exception as error:
            raise MembersError(f"{_named(some)} failed: {_why(error)}.") from error


def _some(group: Group, some: Sequence[int]) -> Group:
    """Return some members of a group."""
    places = np.isin(group.members, some)
    hparams = {name: values[places] for name, values in group.hparams.items()}
    return Group(group.config, group.members[places], hparams)


def _of_any_size() -> Any:
    """Suppress Dask's warning about large messages."""
    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "1PB"})


def _named(some: Sequence[int]) -> str:
    return f"member {some[0]}" if len(some) == 1 else f"members {some[0]} to {some[-1]}"


def _why(error: BaseException) -> str:
    if isinstance(error, ChunkError):
        return str(error.args[-1])
    if isinstance(error, KilledWorker):
        return f"{error.allowed_failures + 1} workers died while training it"
    return f"{type(error).__name__}: {error}"
