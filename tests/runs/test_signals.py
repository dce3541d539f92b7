"""Signals stop training where nothing is lost, and everything else at once."""

import os
import signal
import sys
import threading
import time

import pytest

from fdl.cli import main
from fdl.cli import signals as cli_signals
from fdl.cli.signals import exit_on_signals, saying_how_to_resume
from fdl.runs import Interrupted, RunFolder, resume, signals, stop_on_signals, train
from fdl.runs.signals import defer_signals, told_to_stop

SETTINGS = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 101, "hidden_sizes": (4,)}


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Handle SIGINT as in a terminal; shells start background jobs ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_raises_at_once_or_at_the_end_of_a_deferring_block(number) -> None:
    before = [signal.getsignal(each) for each in signals.SIGNALS]
    done = []

    def stop_twice(raising):
        with stop_on_signals() as received:
            with raising(), raising():
                signal.raise_signal(number)
                signal.raise_signal(number)  # again, as `timeout` does
                done.append(told_to_stop())
            done.append(received.number)

    with pytest.raises(Interrupted):
        stop_twice(threading.Lock)
    assert done == []
    with pytest.raises(Interrupted):
        stop_twice(defer_signals)
    assert done == [True], "raised where the outermost block ends"
    assert [signal.getsignal(each) for each in signals.SIGNALS] == before
    assert not told_to_stop(), "the signal is forgotten afterwards"


def test_a_second_signal_is_not_deferred(monkeypatch) -> None:
    monkeypatch.setattr(signals, "AT_ONCE", 0)
    done = []

    def stop_twice():
        with stop_on_signals(), defer_signals():
            for number in (1, 2):
                done.append(number)
                signal.raise_signal(signal.SIGTERM)
            done.append("never")

    with pytest.raises(Interrupted):
        stop_twice()
    assert done == [1, 2]


def test_other_threads_do_not_defer_signals() -> None:
    inside, over = threading.Event(), threading.Event()

    def write() -> None:
        with defer_signals():
            inside.set()
            over.wait(10)

    def stop() -> None:
        with stop_on_signals():
            thread.start()
            inside.wait(10)
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("the signal was deferred")

    thread = threading.Thread(target=write)
    with pytest.raises(Interrupted):
        stop()
    over.set()
    thread.join()


def test_ignored_signals_stay_ignored_and_other_threads_set_no_handlers() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `nohup` does
    try:
        with stop_on_signals() as received:
            signal.raise_signal(signal.SIGINT)
        assert received.number is None
    finally:
        signal.signal(signal.SIGINT, before)

    def elsewhere() -> None:
        with stop_on_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    found: list = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def test_training_stops_within_an_epoch_and_resumes_there(tmp_path) -> None:
    """Its history equals that of an uninterrupted run: whole epochs only."""

    def stop(step, metrics, state):
        if step == 48:  # an epoch has 33 steps
            os.kill(os.getpid(), signal.SIGTERM)

    kept: set[int] = set()
    states = RunFolder(tmp_path / "whole").checkpoints

    def look(step, metrics, state):
        if step == 12:
            time.sleep(0.3)  # for longer than between two checkpoints
        kept.update(int(one.name) for one in states.found())

    whole = train(
        "mlp",
        path=tmp_path / "whole",
        checkpoint_minutes=0.25 / 60,
        on_chunk=look,
        **SETTINGS,
    )
    assert kept - {33, 66}, "some are saved by time, within an epoch"
    path, message = tmp_path / "cut", "after step 48, which is saved; to resume: fdl"
    with pytest.raises(Interrupted, match=message), stop_on_signals():
        train("mlp", path=path, on_chunk=stop, **SETTINGS)
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 1
    steps = []
    run = resume(path, on_chunk=lambda step, *_: steps.append(step))
    assert steps[0] == 51
    timeless = lambda run: [line._replace(seconds=0) for line in run.history]
    assert timeless(run) == timeless(whole)
    weights = [one.path / "weights.safetensors" for one in (run, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_training_stops_at_once_while_it_compiles(tmp_path, monkeypatch) -> None:
    """Compilation may take longer than the grace period of a cluster."""

    def compile(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("training continued")

    monkeypatch.setattr("fdl.train.loop.Loop._compile", compile)
    with pytest.raises(Interrupted), stop_on_signals():
        train("mlp", path=tmp_path, **SETTINGS)


def test_training_installs_no_handlers(tmp_path) -> None:
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        run = train(
            "mlp",
            path=tmp_path,
            on_start=lambda plan: signal.raise_signal(signal.SIGTERM),
            **SETTINGS | {"epochs": 1},
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    assert run.result is not None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_command_that_does_not_train_ends_with_a_line(
    number, code, capsys, monkeypatch
) -> None:
    stop = lambda command: signal.raise_signal(number)
    monkeypatch.setattr("fdl.cli.tasks.Tasks.__call__", stop)
    with pytest.raises(SystemExit) as done:
        main(["tasks"])
    assert done.value.code == code
    assert capsys.readouterr().err == "fdl: interrupted\n"


@pytest.fixture
def exit_codes(monkeypatch):
    """Exit codes passed to `os._exit`, which is replaced."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def test_a_second_signal_exits_whatever_the_main_thread_does(
    exit_codes, capsys, monkeypatch
) -> None:
    for module in (signals, cli_signals):
        monkeypatch.setattr(module, "AT_ONCE", 0)

    def stop_twice() -> None:
        with exit_on_signals(), defer_signals():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.01)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        stop_twice()
    assert exit_codes == [143]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(
        "stopping at the next safe point; a second signal exits at once"
    )
    assert "fdl: exited at once" in lines


def test_a_signal_that_python_would_ignore_exits_at_once(exit_codes, capsys) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with exit_on_signals(), saying_how_to_resume(lambda: "fdl train --resume a", ""):
        Dying()
    assert exit_codes == [143]
    error = capsys.readouterr().err
    assert error == "fdl: interrupted; to resume: fdl train --resume a\n"


def test_a_signal_after_a_command_exits_at_once(exit_codes, monkeypatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["fdl", "--version"])
    main()
    signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
    assert exit_codes == [143]
