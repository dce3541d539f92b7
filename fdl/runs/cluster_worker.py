"""What a worker of a cluster does for a sweep; `fdl.runs.cluster` asks for it.

A chunk of members is a small sweep in a folder of the worker's own: it is trained, kept
after its epochs and gone on with as any sweep is. Each part that is kept is also sent
to the scheduler, in a variable of Dask's, where the process that sweeps finds it, and
whichever worker goes on with the chunk if this one dies. So machines need not share a
file system.
"""

import contextlib
import functools
import hashlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import jax
from distributed import Queue, Variable, get_worker

import fdl
from fdl.data import Dataset
from fdl.files import write_whole
from fdl.learner import State
from fdl.members import Strategy
from fdl.pixels import picture_format
from fdl.plain import PictureFormat
from fdl.runs.chunks import Chunks, Round
from fdl.runs.compiled import keep_compiled
from fdl.runs.environment import device, environment, versions
from fdl.runs.errors import RunError
from fdl.runs.members import Members
from fdl.runs.part import Part, Row
from fdl.runs.rounds import train_group
from fdl.runs.space import Group
from fdl.tasks import Config, Task

DEVICE = "device"
"""The resource of a worker that a chunk takes: it has one for each of its devices."""


_MOST = 2_000_000_000  # bytes of a message; Dask has been seen to carry these
_PATIENCE = "1 s"  # for what is there, unless nobody waits for it any more


class Machine(NamedTuple):
    """What decides a result besides settings and data, of a process.

    Attributes:
        versions: Of Python and packages, with a digest of fdl's own code.
        environment: See `fdl.runs.environment`.
        device: What it computes on, for people.
    """

    versions: dict[str, str]
    environment: dict[str, Any]
    device: str


class OtherMachineError(RunError):
    """A worker is not like those that it has to agree with."""


class ChunkError(Exception):
    """What went wrong on a worker: its address, and what it was."""


class Wanted(NamedTuple):
    """What a worker has to be like, and how it draws.

    Attributes:
        machine: What it has to be like.
        allow_changes: Whether environment and device may be others.
        format: Of pictures.
    """

    machine: Machine
    allow_changes: bool
    format: PictureFormat


class Swept(NamedTuple):
    """What all chunks of a sweep have in common, but for the data."""

    task: Task
    configs: Sequence[Config]


class Work(NamedTuple):
    """A chunk of members to train.

    Attributes:
        name: Of the variable that holds how far they are.
        group: These members, which share their program.
        round: How far they are trained.
        strategy: How members become a program.
        size: Members in a chunk, those among them that only fill it up.
        before: What the round before left of them: a part, as a file by its name.
    """

    name: str
    group: Group
    round: Round
    strategy: Strategy
    size: int
    before: dict[str, bytes]

    @property
    def members(self) -> list[int]:
        """The numbers of the members."""
        return self.group.members.tolist()


def bind(cores: Sequence[int], threads: int, flags: Mapping[str, Any]) -> None:
    """Bind this process to its share of the cores, before it computes anything.

    XLA divides sums among the threads that it is told of, so that is the same for every
    share, and so are the bits.

    Args:
        cores: Which cores.
        threads: The number of threads that XLA is told of.
        flags: Of JAX, by name.
    """
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(int(thread), cores)
    os.environ["NPROC"] = str(threads)
    for name, value in flags.items():
        jax.config.update(name, value)
    # A terminal tells all its processes; this one ends with the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def machine() -> Machine:
    """Return what this process is like."""
    digest = hashlib.sha256()
    package = Path(fdl.__file__).parent
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    found = versions()
    found["fdl"] += f" (code {digest.hexdigest()[:12]})"
    return Machine(found, environment(), device())


def require_like(name: str, found: Machine, wanted: Wanted) -> None:
    """Raise OtherMachineError, with the difference, unless a worker is as it has to be.

    Args:
        name: The worker's address.
        found: What it is like.
        wanted: What it has to be like.

    Example:
        >>> own = machine()
        >>> other = own._replace(versions=own.versions | {"jax": "0.1"})
        >>> require_like("tcp://10.0.0.7:4000", other, Wanted(own, False, "png"))
        Traceback (most recent call last):
        fdl.runs.cluster_worker.OtherMachineError: worker tcp://10.0.0.7:4000 ...
    """
    remedy = "Install the same on all workers as here"
    for one, other in zip(found[:2], wanted.machine[:2], strict=True):
        for what in {**one, **other}:
            if one.get(what) != other.get(what):
                raise OtherMachineError(
                    f"worker {name} differs: its {what} is {one.get(what)}, and not "
                    f"{other.get(what)}. {remedy}."
                )
        if wanted.allow_changes:
            return
        remedy = (
            "Leave it out, or allow results that depend on who trains what, with "
            "--allow-changes (from Python, allow_changes=True)"
        )


def unpacked(content: bytes, digest: str) -> Any:
    """Return what was sent, if it is whole."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("what was sent was damaged on the way: its checksum differs.")
    return cloudpickle.loads(content)


def plan_chunks(
    data: Dataset,
    swept: Swept,
    group: Group,
    strategy: Strategy | None,
    members_per_chunk: int | None,
    wanted: Wanted,
) -> tuple[Strategy, int]:
    """Return how a machine like this would train members, and how many at a time.

    Args:
        data: The data.
        swept: The sweep.
        group: The members.
        strategy: As in `fit_many`.
        members_per_chunk: As in `fit_many`.
        wanted: What this worker has to be like.
    """
    with _members(data, swept, {}, wanted) as members:
        chunks = Chunks(members, group, Round(), lambda rows: None)
        return chunks.plan(group.members.tolist(), strategy, members_per_chunk)


def train_chunk(
    data: Dataset, swept: Swept, work: Work, told: str, wanted: Wanted
) -> None:
    """Train a chunk to the end of a round, from where it is.

    What is kept of it is in its variable, and a queue tells whenever that is new.

    Args:
        data: The data.
        swept: The sweep.
        work: The chunk.
        told: Name of the queue.
        wanted: What this worker has to be like.
    """
    variable = Variable(work.name)
    begun: Any = variable.get(timeout=_PATIENCE)
    files = work.before | ({begun["name"]: begun["part"]} if begun else {})

    def send(members: Members, part: Part) -> None:
        if _is_cancelled():
            variable.delete()
            raise RuntimeError("nobody waits for these members any more")
        content = members.content(part)
        if len(content) > _MOST:
            raise ValueError(
                f"the state of these members has {len(content):,} bytes, and a "
                f"scheduler carries {_MOST:,}: give fewer members_per_chunk."
            )
        pictures = _pictures(members)
        variable.set({"name": part.name, "part": content, "pictures": pictures})
        queue.put(work.name)

    with (
        contextlib.closing(Queue(told)) as queue,
        _members(data, swept, files, wanted, send) as members,
    ):
        number = work.round.number
        over = members.states(work.members, round=number)
        if over:  # whoever wrote that may have died before it told
            queue.put(work.name)
        train_group(
            Chunks(members, work.group, work.round, lambda rows: None),
            members.states(work.members, round=number - 1) if number else {},
            left=[k for k in work.members if k not in over],
            strategy=work.strategy,
            members_per_chunk=work.size,
        )


def measure_member(
    data: Dataset, swept: Swept, k: int, part: dict[str, bytes], wanted: Wanted
) -> tuple[Row, dict[str, bytes]]:
    """Return what a member reaches on the test set, and the pictures of it.

    Args:
        data: The data.
        swept: The sweep.
        k: Which member.
        part: What is kept of it, as a file by its name.
        wanted: What this worker has to be like.
    """
    with _members(data, swept, part, wanted) as members:
        ((_, row),) = members.tested([k])
        return row, _pictures(members)


class _Sent(Members):
    """Members that are sent whenever they are kept."""

    def __init__(self, send: Callable[[Members, Part], None], *args: Any) -> None:
        super().__init__(*args)
        self._send = send

    def keep(self, part: Part, state: State) -> None:
        super().keep(part, state)
        self._send(self, part)


@contextlib.contextmanager
def _members(
    data: Dataset,
    swept: Swept,
    files: Mapping[str, bytes],
    wanted: Wanted,
    send: Callable[[Members, Part], None] = lambda members, part: None,
) -> Iterator[Members]:
    """Open the sweep in a folder of this worker's.

    Args:
        data: The data.
        swept: The sweep.
        files: What is kept of it, by the names of parts.
        wanted: What this worker has to be like.
        send: Called with what is kept.

    Raises:
        ChunkError: If anything goes wrong inside.
        OtherMachineError: If this is no such worker.
    """
    worker = get_worker()
    require_like(worker.address, machine(), wanted)
    try:
        keep_compiled()
        with (
            picture_format(wanted.format),
            tempfile.TemporaryDirectory(dir=worker.local_directory) as folder,
        ):
            parts = Path(folder, "parts")
            parts.mkdir()
            for name, content in files.items():
                write_whole(parts / name, content)
            yield _Sent(send, swept.task, swept.configs, data, Path(folder))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ChunkError(worker.address, reason) from error


def _pictures(members: Members) -> dict[str, bytes]:
    folder = members.folder / "members"
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _is_cancelled() -> bool:
    """Return whether nobody wants what this task makes any more."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state == "cancelled"
