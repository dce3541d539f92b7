"""A sweep on a cluster equals one in a single process, even if workers are killed.

The scheduler and the workers are real, and run on this machine.
"""

import contextlib
import dataclasses
import logging
import os
import random
import re
import runpy
import subprocess
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import dask
import psutil
import pytest
from distributed import Client, LocalCluster, Security, get_worker

import fdl
from fdl import tasks
from fdl.cli import main
from fdl.runs import MembersError, RunError, cluster, resume_sweep, sweep
from fdl.runs import cluster_worker as worker
from fdl.runs.listing import read_json
from fdl.runs.part import part_files
from runs.small import Killed, content, few_digits_and_no_pictures

ROOT = Path(__file__).parents[2]
SMALL = {
    "dataset": "mnist-5k",
    "epochs": 9,
    "batch_size": 20,
    "hidden_sizes": (4,),
    "grid": {"learning_rate": [1e-3, 1e-2, 1e36]},  # the last one diverges
    "seeds": 2,
    "members_per_chunk": 2,
}


@pytest.fixture(autouse=True, scope="module")
def _few_digits_and_no_pictures():
    with few_digits_and_no_pictures():
        yield


@pytest.fixture(scope="module")
def client():
    """A client of two workers, each on its own core, or of one on a single core."""
    count = min(2, len(os.sched_getaffinity(0)))
    options = {"allow_unencrypted": False, "allow_changes": False}
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with cluster.connected(f"local:{count}", **options) as workers:
        yield workers.client
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Results of sweeps in one process, without and with halving."""
    path = tmp_path_factory.mktemp("whole")
    for halving in (False, True):
        sweep("mlp", path=path / str(halving), halving=halving, **SMALL)
    return {halving: found_in(path / str(halving)) for halving in (False, True)}


def found_in(path):
    """Return the results of a sweep, with the names of the files of its members."""
    files = (file for file in path.glob("members/*/*"))
    return content(path) | {"files": sorted(str(x.relative_to(path)) for x in files)}


def workers():
    """Return the processes of live workers."""
    found = psutil.Process().children()
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


class KillingOne:
    """A recorder of rows that kills a worker shortly after the first ones."""

    def __init__(self, name):
        draw = random.Random(name)
        self._thread = threading.Timer(draw.uniform(0, 0.3), self._kill, [draw])
        self.rows = []

    def on_rows(self, rows):
        if not self.rows:
            self._thread.start()
        self.rows += rows

    def wait(self):
        self._thread.join()

    def _kill(self, draw):
        draw.choice(workers()).kill()


def test_a_killed_worker_changes_no_bit(client, whole, tmp_path) -> None:
    before = {one.pid for one in workers()}
    on_scheduler = client.run_on_scheduler(left_behind)
    killing = KillingOne("halving")
    options = {"cluster": client, "halving": True, **SMALL}
    found = sweep("mlp", path=tmp_path, on_rows=killing.on_rows, **options)
    assert found_in(tmp_path) == whole[True]
    key = lambda row: (row["member"], row["epoch"])
    assert sorted(map(key, killing.rows)) == list(map(key, found.rows))
    killing.wait()
    assert {one.pid for one in workers()} != before
    client.wait_for_workers(len(before), timeout=300)
    assert not {*client.run_on_scheduler(left_behind)} - {*on_scheduler}


def test_the_example_runs(client, monkeypatch) -> None:
    """On the cluster of these tests, on which it kills a worker, too."""
    module = runpy.run_path(str(ROOT / "examples" / "cluster_sweep.py"))

    def sweep_here(*args, cluster=None, **options):
        assert cluster in (None, "local:2")
        return sweep(*args, cluster=cluster and client, **options)

    monkeypatch.setattr(fdl.runs, "sweep", sweep_here)
    count = len(workers())
    measured = module["main"](module["SMOKE"])
    client.wait_for_workers(count, timeout=300)
    assert measured["killed"] == 1
    assert measured["accuracy"] > 0.2, "the model must have learned something"


def test_an_interrupted_sweep_stops_and_resumes(client, whole, tmp_path) -> None:
    def cut_off(rows):
        raise Killed

    client.run(note_kept_parts)
    before = client.run_on_scheduler(left_behind)
    options = {"cluster": client, "halving": False, **SMALL}
    with pytest.raises(Killed):
        sweep("mlp", path=tmp_path, on_rows=cut_off, **options)
    begun = [files[0].name for files in part_files(tmp_path / "parts").values()]
    resume_sweep(tmp_path, cluster=client)
    assert found_in(tmp_path) == whole[False]
    kept = [name for names in client.run(kept_parts).values() for name in names]
    again = [name for name in begun if kept.count(name) > 1]
    assert begun
    assert not again, "parts that were sent are not trained again"
    time.sleep(0.2)
    assert not {*client.run_on_scheduler(left_behind)} - {*before}


def note_kept_parts():
    keep, worker.noted = worker._Sent.keep, []

    def noted(members, part, state):
        if not part.over:  # then the part of the last epoch is saved once more
            worker.noted.append(part.name)
        keep(members, part, state)

    worker._Sent.keep = noted


def kept_parts():
    return worker.noted


def left_behind(dask_scheduler):
    """Return the names of tasks, variables and queues that are on a scheduler."""
    extensions = dask_scheduler.extensions
    kept = (extensions["variables"].variables, extensions["queues"].queues)
    return [str(name) for all in (dask_scheduler.tasks, *kept) for name in all]


def failing_on_workers(learn):
    def learn_or_fail(model, config, info):
        if config.options.hidden_sizes == (5,) and on_worker():
            raise ValueError("broken")
        return learn(model, config, info)

    return learn_or_fail


def on_worker():
    try:
        return get_worker() is not None
    except ValueError:
        return False


def test_members_that_fail_on_every_worker_are_named_and_others_saved(
    client, tmp_path
) -> None:
    mlp = tasks.find("mlp")
    task = dataclasses.replace(mlp, name="mine", learn=failing_on_workers(mlp.learn))
    grid = {"hidden_sizes": [(5,), (4,)]}
    few_epochs = {"epochs": 1, "strategy": "vmap", "members_per_chunk": 1}
    settings = {**SMALL, "grid": grid, **few_epochs}
    with pytest.raises(MembersError) as error:
        sweep(task, path=tmp_path, cluster=client, **settings)
    text = str(error.value)
    assert text.startswith("member 0 failed on tcp://127.0.0.1:")
    assert "; member 1 failed on tcp://127.0.0.1:" in text
    assert text.count("tcp://") == 2 * len(workers())
    assert (
        "ValueError: broken. All others are saved; to resume: fdl sweep --run" in text
    )
    assert not (tmp_path / "result.json").exists()
    rows = []
    resume_sweep(tmp_path, task=task, on_rows=rows.extend)  # in this process
    assert [row["member"] for row in rows] == [0, 1]
    assert read_json(tmp_path / "result.json")["members"] == 4


def pretend(name, value):
    """Let a worker report another version of a package, or undo that."""
    from fdl.runs import cluster_worker

    own = cluster_worker.machine()
    other = own._replace(versions=own.versions | {name: value})
    cluster_worker.machine = lambda: other


@pytest.mark.parametrize("late", [False, True])
def test_a_worker_with_another_version_is_refused(client, tmp_path, late) -> None:
    able = cluster.able_workers(client)
    # Later, only a worker that is given a chunk is asked: either may be.
    others = able if late else able[-1:]
    there = lambda *args: client.run(pretend, "jax", "0.1", workers=others)
    names = "|".join(map(re.escape, others))
    message = f"worker ({names}) differs: its jax is 0.1, not "
    try:
        if not late:
            there()
        with pytest.raises(RunError, match=message):
            sweep("mlp", path=tmp_path, cluster=client, on_start=there, **SMALL)
        assert (tmp_path / "config.json").exists() == late
    finally:
        client.run(pretend, "jax", worker.machine().versions["jax"], workers=others)


def cores_of_threads():
    found = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            found.add(tuple(os.sched_getaffinity(int(thread))))
    return found


def test_workers_share_the_cores_and_record_the_same_number(client) -> None:
    own = os.sched_getaffinity(0)
    shares = list(client.run(cores_of_threads).values())
    assert sorted(share for shares in shares for share in shares) == [
        (core,) for core in sorted(own)[: len(shares)]
    ]
    machines = client.run(worker.machine).values()
    assert {one.environment["cores"] for one in machines} == {len(own)}


def test_a_local_cluster_listens_only_on_this_machine(client) -> None:
    listening = [
        one.laddr.ip
        for process in (psutil.Process(), *workers())
        for one in process.net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {*listening} == {"127.0.0.1"}


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, tmp_path) -> None:
    assert cluster._PATIENCE == 30
    monkeypatch.setattr(cluster, "_PATIENCE", 0.3)
    message = "no scheduler answered at tcp://127.0.0.1:9 within"
    with pytest.raises(RunError, match=message):
        sweep("mlp", path=tmp_path, cluster="tcp://127.0.0.1:9", **SMALL)


def test_tls_uses_certificates_and_refuses_clients_without(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=a"
    )
    subprocess.run(["openssl", *words.split()], check=True, capture_output=True)
    config = {"distributed.comm.tls.ca-file": "cert.pem"} | {
        f"distributed.comm.tls.{role}.{file}": f"{file}.pem"
        for role in ("client", "scheduler", "worker")
        for file in ("cert", "key")
    }
    allowed = {"allow_unencrypted": False, "allow_changes": False}
    with dask.config.set(config):
        started = one_worker(protocol="tls://", security=Security(), resources=DEVICE)
        address = started.scheduler_address
        with started, cluster.connected(address, **allowed) as found:
            assert found.client.scheduler.address.startswith("tls://127.0.0.1:")
            assert cluster.able_workers(found.client)
    with pytest.raises(RunError, match="needs certificates: set the environment"):
        sweep("mlp", path=tmp_path, cluster=address, **SMALL)


DEVICE = {"device": 1}


def one_worker(n_workers=1, **options):
    """Return a cluster of one worker in this process, or of no worker yet."""
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    return LocalCluster(n_workers=n_workers, processes=False, **quiet, **options)


def test_waiting_for_a_worker_is_reported_once(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "_ALONE", 0.5)
    allowed = {"allow_unencrypted": False, "allow_changes": False}
    with (
        one_worker(n_workers=0, resources=DEVICE) as started,
        Client(started, set_as_default=False) as client,
    ):
        threading.Timer(1.5, started.scale, [1]).start()
        address = started.scheduler_address
        remedy = f"dask worker {address} --nthreads 1 --resources device=1"
        with pytest.warns(UserWarning, match=f"^{address} has no w.*{remedy}") as seen:
            with cluster.connected(client, **allowed) as found:
                assert found.wanted.machine == worker.machine()
        assert len(seen) == 1


def test_a_scheduler_lost_while_waiting_for_a_worker_is_named() -> None:
    allowed = {"allow_unencrypted": False, "allow_changes": False}
    started = one_worker(n_workers=0)
    address = started.scheduler_address
    with started, Client(address, set_as_default=False) as client:
        threading.Timer(1, started.close).start()
        with pytest.raises(RunError, match=f"^the scheduler at {address} is gone"):
            with cluster.connected(client, **allowed):
                raise AssertionError


def test_workers_without_a_device_are_refused(tmp_path) -> None:
    with (
        one_worker() as started,
        Client(started, set_as_default=False) as client,
        pytest.raises(RunError, match="per device, with --resources device=1"),
    ):
        sweep("mlp", path=tmp_path, cluster=client, **SMALL)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("local:0", "must have 1 to"),
        ("local:1000", "must have 1 to"),
        ("localhost:8786", "is not a cluster: use local:N"),
        ("tls://10.0.0.5", "is not a cluster"),
        ("ucx://10.0.0.5:8786", "is not a cluster"),
        ("tcp://10.0.0.5:8786", "is not encrypted.*--allow-unencrypted"),
        ("tcp://cluster.example:8786", "is not encrypted"),
        ("tcp://[fe80::1]:8786", "is not encrypted"),
    ],
)
def test_bad_and_unsafe_addresses_are_refused(address, message, capsys) -> None:
    with pytest.raises(ValueError, match=message):
        sweep("mlp", cluster=address)
    with pytest.raises(SystemExit) as left:
        main(["sweep", "mlp", "--cluster", address])
    assert left.value.code == 2
    assert re.search(message, capsys.readouterr().err.replace("\n", " "))


def test_the_command_names_failed_members_and_exits_with_1(monkeypatch, capsys) -> None:
    def fail(*args, cluster, allow_unencrypted, **options):
        assert (cluster, allow_unencrypted) == ("tcp://10.0.0.5:8786", True)
        raise MembersError("member 3 failed; to resume: fdl sweep --run a")

    monkeypatch.setattr(fdl.runs, "sweep", fail)
    words = ["--cluster", "tcp://10.0.0.5:8786", "--allow-unencrypted"]
    with pytest.raises(SystemExit) as left:
        main(["sweep", "mlp", *words])
    assert left.value.code == 1
    assert f"fdl sweep --run a {' '.join(words)}\n" in capsys.readouterr().err
