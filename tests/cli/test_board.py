"""What a sweep shows while it trains."""

import dataclasses

from fdl import data, tasks
from fdl.cli.leaders import Board
from fdl.runs.members import Members


def test_a_member_that_diverged_does_not_lead(tmp_path, capsys) -> None:
    task = tasks.find("mlp")
    config = task.config(dataset="mnist-5k", epochs=2)
    configs = [dataclasses.replace(config, seed=seed) for seed in range(3)]
    members = Members(task, configs, data.load("mnist-5k"), tmp_path)
    row = {"configuration": 0, "diverged": -1, "epoch": 1}
    value = "validation_accuracy"
    first = [
        row | {"member": k, "seed": k, value: accuracy}
        for k, accuracy in enumerate((0.9, 0.5, 0.7))
    ]
    last = [
        {**first[0], "epoch": 2, "diverged": 99},
        {**first[1], "epoch": 2, value: 0.6},
    ]
    del last[0][value]
    first[2]["diverged"] = 7  # which is known when it is over
    with Board(halving=False) as board:
        board.on_start(members)
        board.on_rows(first)
        board.on_rows(last)
    shown = capsys.readouterr().err
    assert "validation accuracy" in shown
    assert "60.00%" in shown
    assert "90.00%" not in shown
    assert "70.00%" not in shown
