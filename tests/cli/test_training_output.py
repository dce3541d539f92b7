"""The output of `fdl train` while it runs, and how to resume an interrupted run."""

import io
import json
import re
import signal
import time

import pytest
from rich.console import Console
from shell import fdl

from fdl.cli import progress
from fdl.cli.progress import TrainingProgress, Voice
from fdl.data import load
from fdl.runs import Plan, configure
from fdl.runs.listing import read_json
from fdl.train import Epoch

SMALL = ("--dataset", "mnist-5k", "--epochs", 2, "--batch-size", 303)


def test_the_folder_comes_first_then_a_line_for_each_epoch(home) -> None:
    lines = (home / "err.txt").read_text().splitlines()
    assert lines[0] == (
        "runs/a: mlp on mnist-5k, 3,333 examples to train on, 667 to validate, "
        "1,000 to test, 101,770 parameters"
    )
    assert [line[:24] for line in lines[1:3]] == [
        "epoch 1/2  step 105/210 ",
        "epoch 2/2  step 210/210 ",
    ]
    assert lines[3:] == ["evaluating on the test set and drawing pictures"]


def test_recorded_times_exclude_the_shell(home) -> None:
    result = json.loads((home / "runs/a/result.json").read_text())
    wall, slept = json.loads((home / "seconds.json").read_text())
    assert sum(result["seconds"].values()) < wall - slept


def test_an_interrupted_run_is_resumed(tmp_path, monkeypatch) -> None:
    def interrupt(self, line, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "on_epoch", interrupt)
        done = fdl("train", "mlp", *SMALL, "--run", "a", cwd=tmp_path, code=130)
    last = done.stderr.splitlines()[-1]
    assert last == "fdl: interrupted; to resume: fdl train --resume a"
    assert not (tmp_path / "a/result.json").exists()
    done = fdl("train", "--resume", "a", "--quiet", "--json", cwd=tmp_path)
    assert done.stderr == ""
    printed, saved = json.loads(done.stdout), tmp_path / "a/result.json"
    assert printed == {"path": "a"} | read_json(saved)
    assert printed["epochs"] == 2
    done = fdl("train", "--resume=a", cwd=tmp_path, code=2)
    assert "is complete" in done.stderr


def test_a_terminated_run_prints_how_to_resume(tmp_path, monkeypatch) -> None:
    """Even if the signal breaks an import; `--model` must be passed again."""

    def break_off(self, line, state):
        signal.raise_signal(signal.SIGTERM)
        raise ImportError("initialization failed")

    monkeypatch.setattr(TrainingProgress, "on_epoch", break_off)
    model = ("--model", "fdl.models:MLP")
    line = ("train", "classify", *model, *SMALL, "--run", "a")
    done = fdl(*line, cwd=tmp_path, code=143)
    last = done.stderr.splitlines()[-1]
    words = f"fdl train --resume a {' '.join(model)}"
    assert last == f"fdl: interrupted; to resume: {words}"


def test_without_a_terminal_progress_is_repeated_after_silence(
    capsys, monkeypatch
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.05)
    for quiet in (False, True):
        voice = Voice(lambda: "step 3 of 9", quiet=quiet)
        lines: list[str] = []
        voice.start()
        for _ in range(4 if quiet else 1000):
            time.sleep(0.05)
            lines += capsys.readouterr().err.splitlines()
            if len(lines) >= 2:
                break
        voice.stop()
        lines += capsys.readouterr().err.splitlines()  # printed since the last read
        assert not lines if quiet else len(lines) >= 2
        assert all(re.fullmatch(r"step 3 of 9  after \d+ s", line) for line in lines)


@pytest.fixture
def plan(tmp_path):
    config = configure("mlp", dataset="mnist-5k", epochs=2)
    return Plan(tmp_path, config, load("mnist-5k").info, 101_770, 105, 0)


def test_initial_and_frozen_weights_are_printed(plan, capsys) -> None:
    plan = plan._replace(
        init_from="a.keras", newly_initialized=("head/bias",), kept=770
    )
    with TrainingProgress() as watch:
        watch.on_start(plan)
    _, *lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "weights from a.keras; initialized at random: head/bias",
        "770 parameters are frozen, 101,000 are trained",
    ]


def test_a_terminal_shows_a_bar_to_the_end(plan, monkeypatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(progress, "err", terminal)
    with TrainingProgress() as watch:
        watch.on_start(plan)
        watch.on_chunk(7, {"loss": 0.5}, None)
        watch.on_epoch(Epoch(1, 105, True, {"loss": 0.5}, {"loss": 0.6}, 1.0), None)
        watch.on_finish()
    shown = terminal.file.getvalue()
    assert "7/210" in shown
    assert "0/?" in shown.split("finishing")[-1], "finishing has no total"
