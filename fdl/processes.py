"""Several processes that train as one: they join, agree, and end together.

Each runs the same program on the same data and computes its part of every batch, on a
mesh of the devices of all (`fit(mesh=)`). They meet at a service of JAX's, which runs
in process 0. Nothing here imports JAX before they join.
"""

import contextlib
import importlib.metadata
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ANSWERS_IN = 30  # seconds for the coordinator to answer
_ALL_COME_IN = 300  # seconds for all to join, since people type their commands
_SILENT_FOR = 30  # seconds without a sign of life after which a process has died
_ENDS_IN = 20  # seconds for a process to end by itself when another has
_FOREVER = 10**9  # milliseconds

_PACKAGES = ("fdl", "jax", "jaxlib", "flax", "optax", "numpy")


class ProcessError(ValueError):
    """Processes cannot join, or do not agree."""


class _Place(NamedTuple):
    """What JAX needs to know to join processes."""

    coordinator: str
    processes: int
    process: int
    local_device_ids: Any = None


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    plainly: bool = True,
) -> Iterator[None]:
    """Make this process one of several, to the end of the block.

    `jax.devices()` are then the devices of all, and `fit` trains on them together when
    it is given a mesh of them. Enter it before JAX computes anything. The block ends
    when it ends in all processes.

    Where one raises an error or dies, the others end within a minute and say which it
    was: they cannot compute without it, and JAX aborts them (exit code 134) unless they
    can end by themselves.

    Args:
        coordinator: `HOST:PORT`, the same for all, at which process 0 listens for the
            others. Whoever reaches it can take part: it has to be in a network that
            others cannot enter.
        processes: How many there are.
        process: Which one this is, from 0. None for all three to take them from the
            environment of the cluster as JAX does: SLURM, Open MPI, Kubernetes, or
            Cloud TPU.
        plainly: Whether what compiled code prints about the end of another process
            becomes one line.

    Raises:
        ProcessError: If the coordinator does not answer within half a minute, there is
            no such process, there is no cluster, or versions differ.

    Example:
        >>> import jax
        >>> with joined("10.0.0.1:1234", processes=2, process=0):  # doctest: +SKIP
        ...     mesh = jax.make_mesh((jax.device_count(),), ("data",))
    """
    if (coordinator, processes, process) == (None, None, None):
        place = _of_cluster()
    elif coordinator is None or processes is None or process is None:
        raise ProcessError("coordinator, processes and process go together: give all.")
    else:
        place = _Place(coordinator, processes, process)
    _require_possible(place)
    _require_reachable(place)
    with _plain_words(place) if plainly else contextlib.nullcontext():
        _initialize(place)
        with _ending_together(place.process):
            require_same(_versions())
            yield


def count() -> int:
    """Return how many processes have joined; 1 if there are no others.

    Example:
        >>> count()
        1
    """
    state = _jax_state()
    return 1 if state is None or state.client is None else state.num_processes


def is_first() -> bool:
    """Return whether this is the process that writes, and says what there is to say.

    Example:
        >>> is_first()
        True
    """
    return count() == 1 or _jax_state().process_id == 0


def exchange(text: str) -> list[str]:
    """Return what each process says, in order; all have to call it, equally often.

    Example:
        >>> exchange("alone")
        ['alone']
    """
    if count() == 1:
        return [text]
    state, number = _jax_state(), next(_numbers)
    own = f"fdl/{{}}/{state.process_id}"
    state.client.key_value_set(own.format(number), text)
    said = [_wait(f"fdl/{number}/{each}") for each in range(state.num_processes)]
    # Who speaks now has read what was said before.
    with contextlib.suppress(Exception):
        state.client.key_value_delete(own.format(number - 1))
    return said


def first_says(text: str) -> str:
    """Return what process 0 says; see `exchange`."""
    return exchange(text if is_first() else "")[0]


def any_says(flag: bool) -> bool:
    """Return whether any process says so; see `exchange`."""
    return "yes" in exchange("yes" if flag else "no")


def require_same(about: Mapping[str, Any]) -> None:
    """Raise ProcessError, in all processes, unless all say the same.

    Args:
        about: What has to be the same, as JSON.

    Example:
        >>> require_same({"epochs": 3})
    """
    said = exchange(json.dumps(about, sort_keys=True))
    for process, other in enumerate(said):
        if other != said[0]:
            what, here, there = _difference(json.loads(said[0]), json.loads(other))
            raise ProcessError(
                f"process {process} has {what} {there}, and process 0 has {here}: all "
                "processes need the same."
            )


_numbers = itertools.count(1)


def _jax_state() -> Any:
    """Return what JAX knows of processes; None before JAX is imported.

    It has no public way to exchange a few words without compiling a program; Orbax
    takes this one, too.
    """
    distributed = sys.modules.get("jax._src.distributed")
    return None if distributed is None else distributed.global_state


def _wait(key: str) -> str:
    """Return what is said under a key, once it is; signals are heard meanwhile."""
    from jax.errors import JaxRuntimeError

    while True:
        try:
            return _jax_state().client.blocking_key_value_get(key, 1000)
        except JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
        if (ended := _ended(_jax_state().client)) is not None:
            raise ProcessError(_about_end(*ended))


def _difference(one: Any, other: Any, name: str = "") -> tuple[str, str, str]:
    """Return the name of the first thing that differs, and its two values.

    Example:
        >>> _difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
        ('b.c', '2', '3')
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({**one, **other}):
            if one.get(key) != other.get(key):
                inner = f"{name}.{key}" if name else key
                return _difference(one.get(key), other.get(key), inner)
    shown = (json.dumps(each) for each in (one, other))
    here, there = (x if len(x) <= 80 else f"{x[:77]}..." for x in shown)
    return name, here, there


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"Python": ".".join(map(str, sys.version_info[:3])), **found}


def _of_cluster() -> _Place:
    """Return what the environment of a cluster says."""
    from jax._src.clusters import ClusterEnv

    known = os.environ.get("JAX_COORDINATOR_ADDRESS")
    try:
        coordinator, processes, process, devices = (
            ClusterEnv.auto_detect_unset_distributed_params(
                known, None, None, None, None, ANSWERS_IN
            )
        )
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ProcessError(
            f"what the cluster says of its processes cannot be read: {reason}"
        ) from error
    if coordinator is None or processes is None or process is None:
        raise ProcessError(
            "there is no cluster that JAX knows of, such as SLURM or Open MPI: say "
            "where the coordinator is, how many processes there are, and which this "
            "is."
        )
    return _Place(coordinator, processes, process, devices)


def _require_possible(place: _Place) -> None:
    host, colon, port = place.coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise ProcessError(
            f"coordinator={place.coordinator!r} must be HOST:PORT, such as "
            "10.0.0.1:1234."
        )
    if place.processes < 1:
        raise ProcessError(f"processes={place.processes} must be at least 1.")
    if not 0 <= place.process < place.processes:
        raise ProcessError(
            f"process={place.process} must be from 0 to {place.processes - 1}, since "
            f"there are {place.processes} processes."
        )


def _require_reachable(place: _Place) -> None:
    """Raise ProcessError unless the coordinator can listen, or answers."""
    import socket  # as below: not for `fdl --help`

    host, _, port = place.coordinator.rpartition(":")
    host = host.strip("[]")
    if place.process == 0:
        try:
            socket.create_server(("", int(port))).close()
        except OSError as error:
            raise ProcessError(
                f"process 0 cannot listen at {place.coordinator}: {error.strerror}. "
                "Give another port, to all processes."
            ) from error
        return
    until, reason = time.monotonic() + ANSWERS_IN, "it is not there"
    while (left := until - time.monotonic()) > 0:
        try:
            socket.create_connection((host, int(port)), timeout=left).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.5, left))
    raise ProcessError(
        f"the coordinator at {place.coordinator} did not answer for {ANSWERS_IN} s "
        f"({reason}): start process 0 on that machine, and let this one reach the port."
    )


def _initialize(place: _Place) -> None:
    import jax

    if jax.distributed.is_initialized():
        raise ProcessError("this process is one of several already.")
    host, _, _ = place.coordinator.rpartition(":")
    # Signals are for the run, which is saved when one comes.
    jax.config.update("jax_enable_preemption_service", False)
    local = host in ("127.0.0.1", "localhost", "[::1]")
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.processes,
            place.process,
            place.local_device_ids,
            initialization_timeout=_ALL_COME_IN,
            heartbeat_timeout_seconds=_SILENT_FOR,
            shutdown_timeout_seconds=2 * _ENDS_IN,
            coordinator_bind_address=place.coordinator if local else None,
        )
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ProcessError(f"the processes cannot join: {reason}") from error


@contextlib.contextmanager
def _ending_together(process: int) -> Iterator[None]:
    """Wait for the others at the end; where one fails, let the others know and end.

    One that fails says so, and JAX waits for the others as it exits, so that none is
    aborted before it could say why it ends.
    """
    import jax

    client, over = _jax_state().client, threading.Event()
    watch = threading.Thread(target=_watch, args=(client, over, process), daemon=True)
    watch.start()
    try:
        yield
        client.wait_at_barrier("fdl/end", _FOREVER)
        over.set()
        jax.distributed.shutdown()
    except BaseException as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and _LOST.search(str(error)):
            # What is said of the other process ends this one meanwhile.
            time.sleep(_SILENT_FOR + _ENDS_IN)
        reason = str(error).partition("\n")[0] or type(error).__name__
        with contextlib.suppress(Exception):  # another was first
            client.key_value_set(_ENDED, json.dumps([process, reason]))
        raise
    finally:
        over.set()
        watch.join()


_ENDED = "fdl/ended"

_LOST = re.compile("gloo|nccl|connection closed", re.IGNORECASE)
"""What connections to other processes are called in errors."""


def _ended(client: Any) -> tuple[int, str] | None:
    """Return which process has ended, and what it said; None if none has."""
    try:
        process, reason = json.loads(client.key_value_try_get(_ENDED))
    except Exception:  # JAX has no other way to say that there is no such key
        return None
    return process, reason


def _about_end(process: int, reason: str) -> str:
    return f"process {process} has ended, and so does this one. It said: {reason}"


def _watch(client: Any, over: threading.Event, process: int) -> None:
    """End this process when another has said that it ends, unless it does so itself.

    It may be waiting for the other in compiled code, where no exception reaches it.
    """
    while not over.wait(1):
        if (ended := _ended(client)) is None:
            continue
        if ended[0] != process and not over.wait(_ENDS_IN):
            say(_about_end(*ended))
            import jax

            jax.distributed.shutdown()
            os._exit(1)
        return


def say(line: str) -> None:
    """Print a line to standard error, whatever it is by now."""
    with contextlib.suppress(OSError, ValueError):
        print(f"fdl: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _plain_words(place: _Place) -> Iterator[None]:
    """Say in a line why compiled code ends the process, in place of fifty.

    JAX aborts a process that cannot go on without another, after printing where in its
    code it was, and nothing in the process can prevent it. So what compiled code prints
    goes to another, small process, which outlives this one: `fdl.native_words`. What
    Python prints stays where it was.
    """
    import subprocess

    sys.stdout.flush()
    sys.stderr.flush()
    kept = {1: os.dup(1), 2: os.dup(2)}
    words = [str(Path(__file__).with_name("native_words.py")), place.coordinator]
    reader = subprocess.Popen(
        [sys.executable, "-I", "-S", *words, str(_ALL_COME_IN)],
        stdin=subprocess.PIPE,
        stdout=kept[2],
        start_new_session=True,  # Ctrl-C is for this process
    )
    assert reader.stdin is not None
    for number in kept:
        os.dup2(reader.stdin.fileno(), number)
    reader.stdin.close()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        _moved(stream, number, kept[number])
        for number, stream in enumerate(streams, start=1)
    )
    yield  # after an error, all that is printed is about the end of the process
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number, before in kept.items():
        os.dup2(before, number)
    sys.stdout, sys.stderr = streams
    with contextlib.suppress(subprocess.TimeoutExpired):  # a child may still print
        reader.wait(5)


def _moved(stream: Any, number: int, place: int) -> Any:
    """Return a stream that writes to another place, if it is the process's own."""
    try:
        if stream.fileno() != number:
            return stream
    except (AttributeError, OSError, ValueError):  # a notebook's, or a test's
        return stream
    return open(
        place,
        "w",
        buffering=1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )
