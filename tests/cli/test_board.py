"""The board that `fdl sweep` shows while it trains."""

import dataclasses
import io

import pytest
from rich.console import Console

from fdl import data, tasks
from fdl.cli import leaders, progress
from fdl.cli.leaders import Board
from fdl.runs.members import Members


@pytest.fixture
def members(tmp_path):
    task = tasks.find("mlp")
    config = task.config(dataset="mnist-5k", epochs=2)
    configs = [dataclasses.replace(config, seed=seed) for seed in range(3)]
    return Members(task, configs, data.load("mnist-5k"), tmp_path)


VALUE = "validation_accuracy"


def rows(epoch, *values, diverged=-1):
    """Return rows of the first members after an epoch, one per value."""
    shared = {"configuration": 0, "diverged": diverged, "epoch": epoch}
    return [
        shared | {"member": k, "seed": k} | ({} if x is None else {VALUE: x})
        for k, x in enumerate(values)
    ]


def test_a_diverged_member_does_not_lead(members, monkeypatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    for module in (leaders, progress):
        monkeypatch.setattr(module, "err", terminal)
    first = rows(1, 0.9, 0.5, 0.7)
    first[2]["diverged"] = 7
    with Board() as board:
        board.on_start(members)
        board.on_rows(first)
        board.on_rows([*rows(2, None, diverged=99), *rows(2, 0.9, 0.6)[1:]])
    last_board = terminal.file.getvalue().rpartition("seed")[2]
    assert "validation accuracy" in last_board
    assert "60.00%" in last_board
    assert "90.00%" not in last_board
    assert "70.00%" not in last_board
    assert "5/6" in last_board


@pytest.mark.parametrize("quiet", [False, True])
def test_without_a_terminal_each_epoch_prints_a_line(members, capsys, quiet) -> None:
    with Board(quiet=quiet) as board:
        board.on_start(members)
        board.on_rows(rows(1, 0.9, 0.5, 0.7))
        board.on_rows(rows(2, None, diverged=99))
    expected = [
        f"{members.folder}: mlp on mnist-5k, 3 members",
        "epoch 1 of members 0 to 2  3 of 6 member epochs  "
        "best validation accuracy 90.00%",
        "epoch 2 of member 0  4 of 6 member epochs",
    ]
    assert capsys.readouterr().err.splitlines() == ([] if quiet else expected)
    board.on_start(members)
    assert board.resume_command() == f"fdl sweep --run {members.folder}"
