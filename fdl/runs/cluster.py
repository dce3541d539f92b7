"""The workers of a sweep on a cluster: Dask's scheduler hands out chunks of members.

Dask's wire protocol pickles its messages, among parties that trust each other: whoever
reaches a scheduler can run code on its workers. So local clusters listen on this
machine alone, and other schedulers are reached by TLS.
"""

import contextlib
import logging
import os
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import dask.config
import jax
from distributed import Client, Future, Nanny, Scheduler, Security, SpecCluster
from distributed.comm.core import CommClosedError

from fdl.pixels import current_format
from fdl.runs.cluster_address import require_cluster, require_encrypted
from fdl.runs.cluster_worker import (
    DEVICE,
    Machine,
    OtherMachineError,
    Wanted,
    bind,
    machine,
    require_like,
)
from fdl.runs.environment import FLAGS, cores, environment
from fdl.runs.errors import RunError

_PATIENCE = 30  # seconds to wait for a scheduler to answer
_ALONE = 5  # seconds without a worker until the warning
_PAUSE = 0.1  # seconds between two checks
_DEATHS = 10  # of workers, after which a chunk is abandoned


class Workers(NamedTuple):
    """The workers of a cluster.

    Attributes:
        client: The client of their scheduler.
        wanted: What all workers have in common, and later ones must have, too.
    """

    client: Client
    wanted: Wanted


@contextlib.contextmanager
def connected(
    cluster: Client | str, *, allow_unencrypted: bool, allow_changes: bool
) -> Iterator[Workers]:
    """Connect to a cluster, and check that its workers agree.

    Args:
        cluster: A client; `local:N` to start N workers here; or the address of a
            scheduler, `tls://HOST:PORT` or `tcp://HOST:PORT`.
        allow_unencrypted: Whether to allow connections that others on the network can
            read and tamper with.
        allow_changes: Whether workers may differ in their devices and flags.

    Raises:
        RunError: If the scheduler does not answer, a worker has another version of
            Python or a package than this process, or workers have different devices.
        ValueError: If `cluster` is not a cluster, or not encrypted.
    """
    with _client(cluster, allow_unencrypted=allow_unencrypted) as client:
        address = _address(client)
        try:
            yield Workers(client, _agreed(client, allow_changes=allow_changes))
        except CommClosedError as error:
            raise RunError(f"the scheduler at {address} is gone: {error}.") from error


@contextlib.contextmanager
def _client(cluster: Client | str, *, allow_unencrypted: bool) -> Iterator[Client]:
    if isinstance(cluster, Client):
        if not allow_unencrypted:
            require_encrypted(_address(cluster))
        yield cluster
        return
    count = require_cluster(cluster)
    if count is not None:
        with _local(count) as started, Client(started, set_as_default=False) as client:
            yield client
        return
    if not allow_unencrypted:
        require_encrypted(cluster)
    with _answering(cluster) as client:
        yield client


def _answering(address: str) -> Client:
    """Return a client of the scheduler at an address."""
    security = None
    if address.startswith("tls:"):
        security = Security(require_encryption=True)
        if not (security.tls_ca_file and security.tls_client_cert):
            raise RunError(
                f"{address} needs certificates: set the environment variables "
                "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
                "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
                "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to their files."
            )
    try:
        return Client(
            address, timeout=_PATIENCE, security=security, set_as_default=False
        )
    except OSError as error:
        raise RunError(
            f"no scheduler answered at {address} within {_PATIENCE} s. Start one there "
            "with `dask scheduler`, or check whether a firewall blocks it."
        ) from error


@contextlib.contextmanager
def _local(count: int) -> Iterator[Any]:
    """Start workers on this machine, each with its share of the cores."""
    if jax.default_backend() != "cpu":
        raise ValueError(
            f"local:{count} is for CPUs, but JAX uses {jax.default_backend()}: start a "
            "scheduler and one worker per device, and pass the scheduler's address."
        )
    shares = [sorted(os.sched_getaffinity(0))[i::count] for i in range(count)]
    flags = {k: x for k, x in environment().items() if k in FLAGS and x is not None}
    here = {"host": "127.0.0.1", "protocol": "tcp://"}
    workers = {
        i: {
            "cls": Nanny,
            "options": {
                **here,
                "nthreads": 1,
                "resources": {DEVICE: 1},
                "memory_limit": 0,  # none, as without a cluster
                "silence_logs": logging.CRITICAL,
                # This code runs in the worker before anything is computed.
                "preload": [
                    f"from {bind.__module__} import bind\n"
                    f"bind({share}, {cores()}, {flags})"
                ],
            },
        }
        for i, share in enumerate(shares)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {
            **here,
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
            "allowed_failures": _DEATHS,
        },
    }
    # Only the scheduler is served, and workers inherit this environment. A worker that
    # was restarted may need a while for its imports.
    config = {
        "distributed.deploy.lost-worker-timeout": "1 hour",
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.nanny.pre-spawn-environ": {},
    }
    with (
        dask.config.set(config),
        _silent(logging.getLogger("distributed")),
        SpecCluster(workers, scheduler) as cluster,
    ):
        yield cluster


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Silence a logger: a worker that dies is restarted, which needs no message."""
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _agreed(client: Client, *, allow_changes: bool) -> Wanted:
    """Wait for a worker, and return what all workers with a device have in common.

    Raises:
        OtherMachineError: If they differ from each other or from this process.
        RunError: If no worker has a device.
    """
    if not client.scheduler_info(n_workers=-1)["workers"]:
        # Submit a task, since some clusters start workers only when there is one.
        wait_for(client, client.submit(machine, pure=False, resources={DEVICE: 1}))
    able = able_workers(client)
    if not able:
        raise RunError(
            f"no worker of {_address(client)} has the resource {DEVICE!r}: start one "
            f"per device, with --resources {DEVICE}=1."
        )
    found: Any = client.run(machine, workers=able, on_error="return")
    wanted = None
    for name in able:
        one = found[name]
        if not isinstance(one, Machine):
            raise OtherMachineError(
                f"worker {name} cannot describe itself: {one!r}. Install the same "
                "versions there as here."
            )
        if wanted is None:
            like = Machine(machine().versions, one.environment, one.device)
            wanted = Wanted(like, allow_changes, current_format())
        require_like(name, one, wanted)
    assert wanted is not None
    return wanted


class Absence:
    """Warns once each time that no worker has had a device for some seconds."""

    def __init__(self, client: Client) -> None:
        """Start the clock."""
        self._client, self._since, self._next = client, time.monotonic(), 0.0
        self._is_said = False

    def look(self) -> None:
        """Check for workers, at most once a second, and warn if there are none."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 1
        if able_workers(self._client):
            self._since, self._is_said = now, False
        elif not self._is_said and now - self._since >= _ALONE:
            self._is_said = True
            address = _address(self._client)
            warnings.warn(
                f"{address} has no worker with a device: waiting for one. To start it, "
                f"run dask worker {address} --nthreads 1 "
                f"--resources {DEVICE}=1",
                stacklevel=2,
            )


def wait_for(client: Client, future: Future) -> None:
    """Wait until a future is done, whether it succeeded or not.

    Raises:
        CommClosedError: If the scheduler is gone.
    """
    absence = Absence(client)
    while not future.done():
        absence.look()
        time.sleep(_PAUSE)
    if client.status != "running":
        raise CommClosedError("it no longer answers")


def able_workers(client: Client) -> list[str]:
    """Return the addresses of the workers that have a device."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return sorted(k for k, one in workers.items() if one["resources"].get(DEVICE))


def _address(client: Client) -> str:
    scheduler: Any = client.scheduler
    return scheduler.address


def unique(what: str) -> str:
    """Return a name that no other sweep uses.

    Example:
        >>> unique("chunk")
        'fdl-chunk-...'
    """
    return f"fdl-{what}-{uuid.uuid4().hex}"
