"""`fdl sweep` and `fdl compare`, end to end, and their errors on bad input."""

import csv
import dataclasses
import json
import re
import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import fdl
from fdl.cli import main
from fdl.cli.grids import read_grid, read_ranges
from fdl.cli.main import _command as read_command
from fdl.metrics import paired_difference
from fdl.runs.commands import sweep_command
from fdl.runs.listing import read_json
from fdl.runs.search import Search
from fdl.runs.settings import settings
from fdl.runs.space import Range

SMALL = ("--dataset", "mnist-5k", "--epochs", "1", "--batch-size", "303")
GRID = (*SMALL, "--grid", "learning-rate=1e-3,1e-2", "dropout-rate=0,0.5")
ACCURACY = {"slow": [0.71, 0.72], "fast": [0.91, 0.93]}


def run(*words) -> None:
    main([*map(str, words)])


def complaint(capsys, *words) -> str:
    with pytest.raises(SystemExit) as exit:
        run(*words)
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    return line


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A sweep over a grid, and the results of two more, of one configuration each."""
    folder = tmp_path_factory.mktemp("sweeps")
    run("sweep", "mlp", *GRID, "--seeds", 2, "--run", folder / "grid")
    for name, values in ACCURACY.items():
        one = {"seeds": [0, 1], "test_values": values, "diverged": 0}
        result = {"metric": "accuracy", "mode": "max", "configurations": [one]}
        (folder / name).mkdir()
        (folder / name / "result.json").write_text(json.dumps(result))
    return folder


def test_a_sweep_writes_its_results_and_pictures(home) -> None:
    folder = home / "grid"
    result = json.loads((folder / "result.json").read_text())
    assert result["members"] == 8
    assert result["varied"] == ["learning_rate", "dropout_rate"]
    assert len(result["configurations"]) == 4
    means = [one["summary"]["mean"] for one in result["configurations"]]
    assert means == sorted(means, reverse=True)
    with (folder / "members.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    best = result["configurations"][0]
    values = [
        float(row["test_accuracy"])
        for row in rows
        if int(row["configuration"]) == best["number"]
    ]
    assert np.mean(values) == pytest.approx(best["test"]["mean"])
    others = [one["test_values"] for one in result["configurations"][1:]]
    assert others == [[], [], []], "only the best configuration is tested"
    for name in ("settings", "parallel", "learning", "distribution"):
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_the_report_is_self_contained(home) -> None:
    page = (home / "grid" / "report.html").read_text()
    assert "<td>fdl sweep mlp --dataset mnist-5k --epochs 1 --batch-size 303" in page
    assert re.search(r"<td>python [\d.]+, fdl [\d.]+, jax [\d.]+", page)
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    best = json.loads((home / "grid" / "result.json").read_text())["configurations"][0]
    for part in ("summary", "test"):
        assert f"{best[part]['mean']:.2%}" in page


@pytest.mark.parametrize(
    "words",
    [
        "mlp --hidden-sizes 64 32 --grid dropout-rate=0.1,0.5 --seeds 2",
        "mlp --grid hidden-sizes=64x32,8 --validation none --optimizer rmsprop",
        "mlp --freeze dense1 */bias --seed 3",
        "cnn --validation 0.2 --class-weights 3=2.0,7=0.5 --schedule cosine --halving",
        "lstm --bidirectional --random learning-rate=log:1.25e-05:0.01 --samples 4",
        "mlp --data-dir . --optimizer adamw --weight-decay 0 --augment shift",
        "language-model --no-tied",
        "classify --model my_module:make",
        "--task my_module:task --epochs 3",
    ],
)
def test_the_command_in_the_report_repeats_the_sweep(words, monkeypatch) -> None:
    mine = dataclasses.replace(fdl.tasks.find("mlp"), name="mine")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(task=mine))
    digits, counted_in = fdl.data.load("mnist-5k"), set()
    count = lambda dataset, folder: counted_in.add(folder) or 4000
    monkeypatch.setattr(fdl.tasks.description, "count_examples", count)

    def parsed(words):
        command = read_command(["sweep", *words])
        config, where = command.configuration(), command.data.data_dir
        search = Search(
            grid=read_grid(config, command.grid),
            ranges=read_ranges(config, command.random),
            samples=command.samples,
            seeds=command.seeds,
            halving=command.halving,
            strategy=None,
            members_per_chunk=None,
        )
        return fdl.tasks.with_class_weights(config, digits), search, where

    config, search, where = parsed([*words.split(), "--dataset", "mnist-5k"])
    task = mine if config.task == "mine" else fdl.tasks.find(config.task)
    command = sweep_command(task, config, search, digits.info, where)
    words = shlex.split(command.replace("MODULE:NAME", "my_module:task"))
    again, *rest = parsed(words[2:])
    assert counted_in == {where}
    assert (rest, settings(again)) == ([search, where], settings(config))
    for name in ("dataset", "class_weights", "freeze", "seed", "validation", "options"):
        assert getattr(again, name) == getattr(config, name)


def test_the_best_member_is_a_run(home, capsys) -> None:
    run("eval", home / "grid" / "best")
    result = json.loads((home / "grid" / "result.json").read_text())
    first, best = result["configurations"][0], result["best"]
    assert best["validation"]["accuracy"] == max(first["values"])
    assert best["test"]["accuracy"] in first["test_values"]
    out = capsys.readouterr().out
    assert f"test accuracy {best['test']['accuracy']:.2%}" in out


def test_the_same_command_does_not_train_a_finished_sweep_again(home, capsys) -> None:
    folder = home / "grid"
    before = json.loads((folder / "result.json").read_text())
    run("sweep", "mlp", *GRID, "--seeds", 2, "--run", folder, "--json", "--quiet")
    out, err = capsys.readouterr()
    assert err == ""
    after = read_json(folder / "result.json")
    assert after["configurations"] == before["configurations"]
    assert after["epochs_trained"] == before["epochs_trained"] == 8
    assert after["seconds"] == before["seconds"]
    assert json.loads(out) == {"path": str(folder)} | after
    run("sweep", f"--run={folder}", "--json", "--quiet")
    assert json.loads(capsys.readouterr().out) == json.loads(out)


def test_options_of_a_sweep_are_passed_on(monkeypatch, capsys, tmp_path) -> None:
    passed = {}

    def sweep(**given):
        passed.update(given)
        raise ValueError("enough")

    monkeypatch.setattr(fdl.runs, "sweep", sweep)
    what = ("--random", "learning-rate=log:1e-5:1e-2", "--samples", 4, "--halving")
    how = ("--strategy", "map", "--members-per-chunk", 3, "--data-dir", tmp_path)
    options = (*SMALL, *what, *how, "--seeds", 5, "--run", tmp_path / "a")
    assert complaint(capsys, "sweep", "mlp", *options, "--allow-changes")
    expected = {
        "epochs": 1,
        "ranges": {"learning_rate": Range(1e-5, 1e-2, log=True)},
        "grid": {},
        "samples": 4,
        "seeds": 5,
        "halving": True,
        "strategy": "map",
        "members_per_chunk": 3,
        "path": tmp_path / "a",
        "data_dir": tmp_path,
        "allow_changes": True,
    }
    assert {name: passed[name] for name in expected} == expected


def test_compare_names_the_better_sweep(home, capsys) -> None:
    picture = home / "comparison.png"
    run("compare", home / "slow", home / "fast", "--picture", picture)
    text = " ".join(capsys.readouterr().out.split())
    found = paired_difference(*map(np.array, ACCURACY.values()))
    assert f"fast minus slow: {found.mean:.2%}" in text
    assert f"(95 %: {found.low:.2%} to {found.high:.2%}) over 2 seeds" in text
    assert "fast is better: the interval does not contain 0" in text
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 300
    run("compare", home / "fast", home / "fast", "--picture", picture)
    assert "do not show which is better" in capsys.readouterr().out


def test_folders_that_cannot_be_compared_are_refused(home, capsys) -> None:
    grid, fast = home / "grid", home / "fast"
    assert "has 4 configurations" in complaint(capsys, "compare", grid, fast)
    assert "is not a finished sweep" in complaint(capsys, "compare", home, fast)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--grid", "rate=1"), "no setting 'rate'"),
        (("--grid", "learning-rate=-1"), "learning_rate=-1.0"),
        (("--random", "learning-rate=1:2"), "is not a range"),
        (("--samples", 3), "nothing to draw"),
        (("--seeds", 0), "seeds=0"),
        (("--seeds", 10**9), "more than the 100,000 members that a sweep may have"),
        (
            ("--random", "learning-rate=log:1e-4:1e-2", "--samples", 10**9),
            "seeds=1, samples=1,000,000,000 and",
        ),
        (("--grid", f"epochs={10**12}"), "epochs=1,000,000,000,000 for 1 members"),
        (("--grid", "batch-size=5000"), "5000"),
        (("--members-per-chunk", 0), "members_per_chunk=0"),
        (("--grid", "epochs=1,2", "--halving"), "do not sweep over them"),
        (("--grid", "epochs=1,2", "--validation", "none"), "sweep over seeds alone"),
        (("--halving", "--validation", "none"), "choose the survivors by"),
    ],
)
def test_bad_input_is_refused(words, message, capsys, tmp_path) -> None:
    options = (*SMALL, "--run", tmp_path / "a")
    assert message in complaint(capsys, "sweep", "mlp", *options, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--run", "nothing"), "nothing is not a sweep: it has no config.json"),
        (
            ("--run", "nothing", "--seeds", 2),
            "give a task before options such as --run",
        ),
        (("--task", "nothing:task", "--run", "nothing"), "nothing"),
        (("--run",), "--run needs a value"),
    ],
)
def test_only_a_sweep_can_be_resumed(words, message, capsys) -> None:
    assert message in complaint(capsys, "sweep", *words)


def test_eval_of_a_sweep_names_its_best_member(home, capsys) -> None:
    error = complaint(capsys, "eval", home / "grid")
    assert f"is a sweep, not a run; its best member is {home / 'grid/best'}" in error


def test_another_sweep_in_the_folder_is_left_alone(home, capsys) -> None:
    options = ("--seeds", 5, "--run", home / "grid")
    error = complaint(capsys, "sweep", "mlp", *GRID, *options)
    assert "contains another sweep: seeds was 2 and is 5" in error
    assert f"`fdl sweep --run {home / 'grid'}`" in error
