"""The tasks that a worker of a cluster runs for a sweep; see `fdl.runs.cluster`.

A chunk of members is a small sweep in the worker's own folder: it is trained, saved
after its epochs and resumed as any sweep is. Each saved part is also sent to the
scheduler, in a Dask variable, where the sweeping process finds it, and so does another
worker that resumes the chunk if this one dies. So machines need not share a file
system.
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
"""The Dask resource that a chunk takes: a worker has one for each of its devices."""


_MOST = 2_000_000_000  # bytes of a message, with which Dask was tested
_PATIENCE = "1 s"  # for a variable that exists unless the chunk was cancelled


class Machine(NamedTuple):
    """What affects a process's results, apart from settings and data.

    Attributes:
        versions: Versions of Python and packages, with a digest of fdl's own code.
        environment: See `fdl.runs.environment`.
        device: A readable name of its device.
    """

    versions: dict[str, str]
    environment: dict[str, Any]
    device: str


class OtherMachineError(RunError):
    """A worker differs from those that it must agree with."""


class ChunkError(Exception):
    """An error on a worker: its address, and the reason."""


class Wanted(NamedTuple):
    """Requirements on a worker.

    Attributes:
        machine: The versions, environment and device that it must have.
        allow_changes: Whether environment and device may differ.
        format: The format of its pictures.
    """

    machine: Machine
    allow_changes: bool
    format: PictureFormat


class Swept(NamedTuple):
    """What all chunks of a sweep have in common, apart from the data."""

    task: Task
    configs: Sequence[Config]


class Work(NamedTuple):
    """A chunk of members to train.

    Attributes:
        name: Name of the variable that holds their progress.
        group: The members, which share a program.
        round: How far they are trained.
        strategy: How members are combined into one program.
        size: Members in a chunk, including padding.
        before: Their part of the round before: a file's content by its name.
    """

    name: str
    group: Group
    round: Round
    strategy: Strategy
    size: int
    before: dict[str, bytes]

    @property
    def members(self) -> list[int]:
        """The indices of the members."""
        return self.group.members.tolist()


def bind(cores: Sequence[int], threads: int, flags: Mapping[str, Any]) -> None:
    """Bind this process to its share of the cores, before it computes anything.

    XLA splits sums by its configured number of threads. That is the same for every
    share, so the bits are, too.

    Args:
        cores: The cores to use.
        threads: The number of threads to configure XLA with.
        flags: JAX flags by name.
    """
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(int(thread), cores)
    os.environ["NPROC"] = str(threads)
    for name, value in flags.items():
        jax.config.update(name, value)
    # A terminal sends Ctrl-C to all its processes; this one ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def machine() -> Machine:
    """Describe this process."""
    digest = hashlib.sha256()
    package = Path(fdl.__file__).parent
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    found = versions()
    found["fdl"] += f" (code {digest.hexdigest()[:12]})"
    return Machine(found, environment(), device())


def require_like(name: str, found: Machine, wanted: Wanted) -> None:
    """Raise OtherMachineError, with the difference, unless a worker meets requirements.

    Args:
        name: The worker's address.
        found: The worker's description.
        wanted: The requirements.

    Example:
        >>> own = machine()
        >>> other = own._replace(versions=own.versions | {"jax": "0.1"})
        >>> require_like("tcp://10.0.0.7:4000", other, Wanted(own, False, "png"))
        Traceback (most recent call last):
        fdl.runs.cluster_worker.OtherMachineError: worker tcp://10.0.0.7:4000 ...
    """
    remedy = "Install the same versions on all workers as here"
    for one, other in zip(found[:2], wanted.machine[:2], strict=True):
        for what in {**one, **other}:
            if one.get(what) != other.get(what):
                raise OtherMachineError(
                    f"worker {name} differs: its {what} is {one.get(what)}, not "
                    f"{other.get(what)}. {remedy}."
                )
        if wanted.allow_changes:
            return
        remedy = (
            "Leave it out, or allow results that depend on which worker trains what, "
            "with --allow-changes (from Python, allow_changes=True)"
        )


def unpacked(content: bytes, digest: str) -> Any:
    """Unpickle a value that was sent, after verifying its checksum."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("a message was damaged on the way: its checksum differs.")
    return cloudpickle.loads(content)


def plan_chunks(
    data: Dataset,
    swept: Swept,
    group: Group,
    strategy: Strategy | None,
    members_per_chunk: int | None,
    wanted: Wanted,
) -> tuple[Strategy, int]:
    """Return the strategy and the chunk size that this machine would use.

    Args:
        data: The data.
        swept: The sweep.
        group: The members.
        strategy: As for `fit_many`.
        members_per_chunk: As for `fit_many`.
        wanted: The requirements on this worker.
    """
    with _members(data, swept, {}, wanted) as members:
        chunks = Chunks(members, group, Round(), lambda rows: None)
        return chunks.plan(group.members.tolist(), strategy, members_per_chunk)


def train_chunk(
    data: Dataset, swept: Swept, work: Work, told: str, wanted: Wanted
) -> None:
    """Train a chunk to the end of a round, resuming where it is.

    Its variable holds the saved part; a queue announces each new one.

    Args:
        data: The data.
        swept: The sweep.
        work: The chunk.
        told: Name of the queue.
        wanted: The requirements on this worker.
    """
    variable = Variable(work.name)
    begun: Any = variable.get(timeout=_PATIENCE)
    files = work.before | ({begun["name"]: begun["part"]} if begun else {})

    def send(members: Members, part: Part) -> None:
        if _is_cancelled():
            variable.delete()
            raise RuntimeError("these members were cancelled")
        content = members.content(part)
        if len(content) > _MOST:
            raise ValueError(
                f"the state of these members has {len(content):,} bytes, but a "
                f"scheduler carries at most {_MOST:,}: use a smaller members_per_chunk."
            )
        pictures = _pictures(members)
        variable.set({"name": part.name, "part": content, "pictures": pictures})
        queue.put(work.name)

    queue = Queue(told)
    # The process that sweeps holds it: a killed worker could not release it.
    queue.close()
    with _members(data, swept, files, wanted, send) as members:
        number = work.round.number
        over = members.states(work.members, round=number)
        if over:  # the worker that wrote it may have died before announcing it
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
    """Return a member's test metrics and its pictures.

    Args:
        data: The data.
        swept: The sweep.
        k: Index of the member.
        part: Its saved part: a file's content by its name.
        wanted: The requirements on this worker.
    """
    with _members(data, swept, part, wanted) as members:
        ((_, row),) = members.tested([k])
        return row, _pictures(members)


class _Sent(Members):
    """Members that are also sent whenever they are saved."""

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
    """Open the sweep in a folder of this worker.

    Args:
        data: The data.
        swept: The sweep.
        files: Contents of its saved parts, by file name.
        wanted: The requirements on this worker.
        send: Called with each part that is saved.

    Raises:
        ChunkError: If anything goes wrong inside.
        OtherMachineError: If this worker does not meet the requirements.
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
    """Return whether this task was cancelled."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state == "cancelled"
