"""Several processes that train as one: they join, agree, and end together.

Each runs the same program on the same data and computes its share of every batch, on a
mesh of the devices of all processes (`fit(mesh=)`). They meet through JAX's distributed
service, which runs in process 0. Nothing here imports JAX before they join.
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
_ALL_JOIN_IN = 300  # seconds for all to join; long, since people type the commands
_SILENT_FOR = 30  # seconds without a heartbeat until a process counts as dead
_ENDS_IN = 20  # seconds for a process to end by itself after another has
_FOREVER = 10**9  # milliseconds

_PACKAGES = ("fdl", "jax", "jaxlib", "flax", "optax", "numpy")


class ProcessError(ValueError):
    """Processes cannot join, or do not agree."""


class _Place(NamedTuple):
    """Arguments with which JAX joins processes."""

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
    """Join this process with others for the duration of the block.

    Within it, `jax.devices()` lists the devices of all processes, and `fit` trains on
    them together if it is passed a mesh of them. Enter it before JAX computes anything.
    The block ends when it has ended in all processes.

    If a process raises an error or dies, the others end within a minute and name it:
    they cannot compute without it, and JAX aborts them (exit code 134) unless they can
    end by themselves.

    Args:
        coordinator: `HOST:PORT` at which process 0 listens for the others, the same for
            all. Anyone who can reach it can take part, so it must be on a private
            network.
        processes: Number of processes.
        process: Number of this process, from 0. If all three are None, they come from
            the environment of the cluster, as in JAX: SLURM, Open MPI, Kubernetes, or
            Cloud TPU.
        plainly: Whether to reduce the output of compiled code about the end of another
            process to one line.

    Raises:
        ProcessError: If the coordinator does not answer within half a minute, `process`
            is out of range, there is no cluster, or versions differ.

    Example:
        >>> import jax
        >>> with joined("10.0.0.1:1234", processes=2, process=0):  # doctest: +SKIP
        ...     mesh = jax.make_mesh((jax.device_count(),), ("data",))
    """
    if (coordinator, processes, process) == (None, None, None):
        place = _of_cluster()
    elif coordinator is None or processes is None or process is None:
        raise ProcessError(
            "coordinator, processes and process go together: pass all three."
        )
    else:
        place = _Place(coordinator, processes, process)
    _require_possible(place)
    _require_reachable(place)
    with _one_line_abort(place) if plainly else contextlib.nullcontext():
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
    """Return whether this is process 0, the one that writes files and output.

    Example:
        >>> is_first()
        True
    """
    return count() == 1 or _jax_state().process_id == 0


def exchange(text: str) -> list[str]:
    """Return the texts of all processes, in order; all must call it equally often.

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
    # A process that has set this key has read all previous ones.
    with contextlib.suppress(Exception):
        state.client.key_value_delete(own.format(number - 1))
    return said


def first_says(text: str) -> str:
    """Return the text of process 0; see `exchange`."""
    return exchange(text if is_first() else "")[0]


def any_says(flag: bool) -> bool:
    """Return whether the flag is set in any process; see `exchange`."""
    return "yes" in exchange("yes" if flag else "no")


def require_same(about: Mapping[str, Any]) -> None:
    """Raise ProcessError, in all processes, unless all pass the same values.

    Args:
        about: The values, which can be written as JSON.

    Example:
        >>> require_same({"epochs": 3})
    """
    said = exchange(json.dumps(about, sort_keys=True))
    for process, other in enumerate(said):
        if other != said[0]:
            what, here, there = _difference(json.loads(said[0]), json.loads(other))
            raise ProcessError(
                f"process {process} has {what} {there}, and process 0 has {here}: all "
                "processes must have the same."
            )


_numbers = itertools.count(1)


def _jax_state() -> Any:
    """Return JAX's distributed state; None before JAX is imported.

    JAX has no public way to exchange text without compiling a program; Orbax uses this
    one too.
    """
    distributed = sys.modules.get("jax._src.distributed")
    return None if distributed is None else distributed.global_state


def _wait(key: str) -> str:
    """Wait for the value of a key and return it, handling signals in the meantime."""
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
    """Return the name of the first value that differs, and both values.

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
    """Read the arguments from the environment of a cluster."""
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
            f"the environment of the cluster cannot be read: {reason}"
        ) from error
    if coordinator is None or processes is None or process is None:
        raise ProcessError(
            "JAX detects no cluster, such as SLURM or Open MPI: give the coordinator, "
            "the number of processes, and the number of this one."
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
    import socket  # here, since `fdl --help` does not need it

    host, _, port = place.coordinator.rpartition(":")
    host = host.strip("[]")
    if place.process == 0:
        try:
            socket.getaddrinfo(host, int(port))
            socket.create_server(("", int(port))).close()
        except OSError as error:
            wrong = "address" if isinstance(error, socket.gaierror) else "port"
            raise ProcessError(
                f"process 0 cannot listen at {place.coordinator}: {error.strerror}. "
                f"Choose another {wrong} for all processes."
            ) from error
        return
    until, reason = time.monotonic() + ANSWERS_IN, "no connection"
    while (left := until - time.monotonic()) > 0:
        try:
            socket.create_connection((host, int(port)), timeout=left).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.5, left))
    raise ProcessError(
        f"the coordinator at {place.coordinator} did not answer for {ANSWERS_IN} s "
        f"({reason}): start process 0 there, and make sure that its port is reachable."
    )


def _initialize(place: _Place) -> None:
    import jax

    if jax.distributed.is_initialized():
        raise ProcessError("this process has joined others already.")
    host, _, _ = place.coordinator.rpartition(":")
    # The run handles signals itself: they make it save.
    jax.config.update("jax_enable_preemption_service", False)
    local = host in ("127.0.0.1", "localhost", "[::1]")
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.processes,
            place.process,
            place.local_device_ids,
            initialization_timeout=_ALL_JOIN_IN,
            heartbeat_timeout_seconds=_SILENT_FOR,
            shutdown_timeout_seconds=2 * _ENDS_IN,
            coordinator_bind_address=place.coordinator if local else None,
        )
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ProcessError(f"the processes cannot join: {reason}") from error


@contextlib.contextmanager
def _ending_together(process: int) -> Iterator[None]:
    """Wait for the others at the end; if this process fails, tell the others why.

    A process that fails publishes its reason, and JAX waits for the others as it exits,
    so that none is aborted before it can say why it ends.
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
            # Meanwhile, the failure of the other process ends this one.
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
"""Words of errors about lost connections to other processes."""


def _ended(client: Any) -> tuple[int, str] | None:
    """Return the process that has ended and its reason; None if none has."""
    try:
        process, reason = json.loads(client.key_value_try_get(_ENDED))
    except Exception:  # JAX has no other way to say that there is no such key
        return None
    return process, reason


def _about_end(process: int, reason: str) -> str:
    return f"process {process} has ended, so this one ends too. Its error: {reason}"


def _watch(client: Any, over: threading.Event, process: int) -> None:
    """End this process after another has ended, unless it ends by itself.

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
    """Print a line to standard error, ignoring failures."""
    with contextlib.suppress(OSError, ValueError):
        print(f"fdl: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _one_line_abort(place: _Place) -> Iterator[None]:
    """Replace the fifty lines that JAX prints when it aborts a process with one.

    JAX aborts a process that cannot continue without another, after printing a stack
    trace, and nothing in the process can prevent it. So the output of compiled code
    goes to a small second process that outlives this one: `fdl.native_words`. The
    output of Python is not redirected.
    """
    import subprocess

    sys.stdout.flush()
    sys.stderr.flush()
    kept = {1: os.dup(1), 2: os.dup(2)}
    words = [str(Path(__file__).with_name("native_words.py")), place.coordinator]
    reader = subprocess.Popen(
        [sys.executable, "-I", "-S", *words, str(_ALL_JOIN_IN)],
        stdin=subprocess.PIPE,
        stdout=kept[2],
        start_new_session=True,  # Ctrl-C must not end it
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
    yield  # not restored after an error: all output is then about the end
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number, before in kept.items():
        os.dup2(before, number)
    sys.stdout, sys.stderr = streams
    with contextlib.suppress(subprocess.TimeoutExpired):  # a child may still print
        reader.wait(5)


def _moved(stream: Any, number: int, place: int) -> Any:
    """Return a stream with another file descriptor, if it is the process's own."""
    try:
        if stream.fileno() != number:
            return stream
    except (AttributeError, OSError, ValueError):  # that of a notebook or a test
        return stream
    return open(
        place,
        "w",
        buffering=1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )
