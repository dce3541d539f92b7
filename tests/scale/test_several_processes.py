"""Training in several processes, and what happens when one is lost."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import fdl.runs
from fdl import native_words, processes
from fdl.cli import main
from fdl.native_words import explain
from scale.two_processes import CHECKS, COUNT, DEVICES

_SCRIPT = Path(__file__).parent / "two_processes.py"
_TESTS = str(_SCRIPT.parents[1])


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def start(*words, devices):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {flags}",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # as in this process
            "PYTHONPATH": os.pathsep.join([_TESTS, os.environ.get("PYTHONPATH", "")]),
        },
    )


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("processes") / "run"


@pytest.fixture(scope="module")
def found(run):
    """The errors of all checks and the standard error, for each process.

    The processes leave a run that a signal has stopped.
    """
    address = free_address()
    both = [
        start(_SCRIPT, address, index, run, devices=DEVICES) for index in range(COUNT)
    ]
    try:
        outputs = [each.communicate(timeout=300) for each in both]
    finally:
        for each in both:
            end(each)
    for each, (printed, complaints) in zip(both, outputs, strict=True):
        assert each.returncode == 1, complaints
        assert printed, complaints
    return [(json.loads(printed), complaints) for printed, complaints in outputs]


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("index", range(COUNT))
def test_in_two_processes(found, index, name):
    raised = found[index][0][name]
    assert raised is None, raised


def test_when_one_process_fails_the_others_end_and_name_its_error(found):
    ended, failed = (complaints.splitlines()[-1] for _, complaints in found)
    assert failed == "ValueError: the disk is full"
    assert ended == (
        "fdl: process 1 has ended, so this one ends too. Its error: the disk is full"
    )


# By default, a process counts as lost after half a minute of silence.
_COMMAND = """
from fdl import cli, processes
processes._SILENT_FOR = 5
cli.main()
"""


def test_resuming_with_other_settings_elsewhere_is_refused(found, run, monkeypatch):
    monkeypatch.setattr(processes, "exchange", other(lambda x: x | {"epochs": 7}))
    with pytest.raises(processes.ProcessError, match="process 1 has epochs 7, and"):
        fdl.runs.resume(run, allow_changes=True)


def other(changed):
    """Return an `exchange` of two processes, the second of which changes its text."""
    return lambda text: [
        text,
        json.dumps(changed(json.loads(text))) if text.startswith("{") else text,
    ]


def test_when_one_is_killed_the_others_end_and_one_resumes_alone(found, run):
    saved = fdl.runs.RunFolder(run).history()
    assert [line.epoch for line in saved] == [1]
    address = free_address()
    first, second = (
        start(
            *("-c", _COMMAND, "train", "--resume", run, "--allow-changes"),
            *("--coordinator", address, "--processes", 2, "--process", index),
            devices=1,
        )
        for index in range(2)
    )
    lines = []
    for line in first.stderr:
        lines.append(line)
        if "epoch 2/3" in line:
            second.send_signal(signal.SIGKILL)
            break
    try:
        printed, rest = first.communicate(timeout=60)
    finally:
        end(first)
        end(second)
    lines += rest.splitlines()
    assert lines[-1].startswith("fdl: process 1 has died, or its machine"), lines
    assert first.returncode not in (0, None)
    assert printed == ""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* is gone; continuing")  # if it was aborted
        with pytest.raises(fdl.runs.RunError, match="devices was 4 and is 1"):
            fdl.runs.resume(run)
        whole = fdl.runs.resume(run, allow_changes=True)
    assert [line.epoch for line in whole.history] == [1, 2, 3]
    assert whole.history[0].train == saved[0].train
    assert whole.metrics["accuracy"] > 0.5


_JOINED = """
import sys, time
from fdl import processes
processes._ENDS_IN = 1
with processes.joined(sys.argv[1], 2, int(sys.argv[2])):
    time.sleep(2 * int(sys.argv[2]))
print("done")
"""


def test_the_first_process_to_end_waits_for_the_others():
    address = free_address()
    both = [start("-c", _JOINED, address, index, devices=1) for index in range(2)]
    try:
        outputs = [each.communicate(timeout=60) for each in both]
    finally:
        for each in both:
            end(each)
    assert outputs == [("done\n", "")] * 2
    assert [each.returncode for each in both] == [0, 0]


def test_processes_of_other_versions_are_refused(monkeypatch):
    monkeypatch.setattr(processes, "_initialize", lambda place: None)
    monkeypatch.setattr(
        processes, "_ending_together", lambda process: contextlib.nullcontext()
    )
    monkeypatch.setattr(processes, "exchange", other(lambda x: x | {"jax": "0.1"}))
    with pytest.raises(processes.ProcessError, match="process 1 has jax"):
        with processes.joined(free_address(), 2, 0, plainly=False):
            raise AssertionError


@pytest.mark.parametrize("what", ["checksum", "devices", "jax"])
def test_runs_on_other_data_or_machines_are_refused(monkeypatch, tmp_path, what):
    def changed(about):
        held = {"checksum": "data", "devices": "environment", "jax": "versions"}
        return about | {held[what]: about[held[what]] | {what: 7}}

    settings = {"dataset": "mnist-5k", "epochs": 1}
    words = f"process 1 has [a-z]*.{what} 7, and process 0 has"
    with monkeypatch.context() as patch:
        patch.setattr(processes, "exchange", other(changed))
        with pytest.raises(processes.ProcessError, match=words):
            fdl.runs.train("mlp", path=tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("(stopped sending heartbeats):\n1\n2\nThe tasks", "process 1, 2 has died"),
        ("DEADLINE_EXCEEDED\n\nRPC: /x/RegisterTask", "have joined at h:1 within 9 s"),
        (
            "Shutdown barrier has failed. The first task at the barrier: 1. Some",
            "process 1 ended before the others",
        ),
        (
            "UNAVAILABLE: Failed to send RPC to",
            "process 0, the coordinator at h:1, has",
        ),
        ("absl::Status: ODD: it is\nand", "died, according to JAX (ODD: it is)"),
    ],
)
def test_aborts_by_jax_are_explained_in_one_line(words, line):
    found = explain(words, "h:1", "9")
    assert line in found
    assert "\n" not in found


def test_other_output_of_compiled_code_is_passed_on():
    words = (
        "[Gloo] Rank 3 is connected to 7 peer ranks. Expected number is : 7\n"
        "of the user's own\n"
        "E1129 22:02:56.464207   32495 coordination_service.cc:1549] unhealthy:\n1\n"
        "W1129 22:02:57.464207   32495 slow.cc:15] compiling is slow\nvery slow\n"
        "F1129 22:02:58.464207   32495 client.h:80] Terminating process because the "
        "JAX distributed service detected fatal errors. absl::Status: ODD: it is\n"
        "    @  0x7fd705040634  absl::lts_20260107::log_internal\n"
    )
    ran = subprocess.run(
        [sys.executable, native_words.__file__, "h:1", "9"],
        input=words,
        capture_output=True,
        text=True,
        check=True,
    )
    own, slow, slower, last = ran.stdout.splitlines()
    assert (own, slower) == ("of the user's own", "very slow")
    assert slow.endswith("compiling is slow")
    assert last.startswith("fdl: another process has died")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("h:1", 2, None), "go together"),
        (("h", 2, 0), "coordinator='h' must be HOST:PORT"),
        (("h:x", 2, 0), "coordinator='h:x' must be HOST:PORT"),
        (("h:1", 0, 0), "processes=0 must be at least 1"),
        (("h:1", 2, 2), "process=2 must be from 0 to 1, since there are 2"),
        ((None, None, None), "JAX detects no cluster"),
    ],
)
def test_bad_coordinators_and_counts_are_refused(given, complaint):
    with pytest.raises(processes.ProcessError, match=complaint):
        with processes.joined(*given):
            raise AssertionError


def test_a_coordinator_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(processes, "ANSWERS_IN", 0.5)
    address = free_address()
    with pytest.raises(processes.ProcessError, match=f"at {address} did not"):
        with processes.joined(address, 2, 1):
            raise AssertionError


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(processes.ProcessError, match=f"listen at {address}"):
            with processes.joined(address, 2, 0):
                raise AssertionError


def test_process_0_refuses_an_unknown_host():
    with pytest.raises(processes.ProcessError, match=r"at no\.invalid:1: .* address"):
        with processes.joined("no.invalid:1", 2, 0):
            raise AssertionError


def test_processes_of_a_slurm_cluster_are_detected(monkeypatch):
    variables = {"JOB_ID": "7", "STEP_NODELIST": "node[03-04]", "LOCALID": "0"}
    for name, value in {**variables, "NTASKS": "2", "PROCID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert processes._of_cluster()[:3] == ("node03:61447", 2, 1)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--processes 2", "go together: pass all three"),
        ("--coordinator h:1 --process 0", "go together: pass all three"),
        ("--processes auto --process 1", "from the cluster: leave them out"),
        ("--processes auto", "JAX detects no cluster"),
        ("--processes two", "two"),
        ("--coordinator h:0 --processes 2 --process 1", "must be HOST:PORT"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_incompatible_options_are_refused(words, complaint, begun, capsys, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    what = ["--resume", str(tmp_path)] if begun else ["mlp"]
    with pytest.raises(SystemExit) as left:
        main(["train", *what, *words.split()])
    assert left.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert complaint in lines[-1] or complaint in lines[0]
