"""`fdl sweep` and `fdl compare`, end to end, and their replies to bad input."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from fdl.cli import main
from fdl.metrics import paired_difference
from fdl.runs.listing import read_json

SMALL = ("--dataset", "mnist-5k", "--epochs", "1", "--batch-size", "500")


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
    """Three sweeps: a grid, and two of a configuration each over the same seeds."""
    folder = tmp_path_factory.mktemp("sweeps")
    grid = ("--grid", "learning-rate=1e-3,1e-2", "batch-size=250,500")
    run("sweep", "mlp", *SMALL, *grid, "--seeds", 2, "--run", folder / "grid")
    for name, rate in (("slow", 1e-3), ("fast", 1e-2)):
        options = ("--learning-rate", rate, "--seeds", 4, "--run", folder / name)
        run("sweep", "mlp", *SMALL, *options)
    return folder


def test_a_sweep_leaves_what_it_promises(home) -> None:
    folder = home / "grid"
    result = json.loads((folder / "result.json").read_text())
    assert result["members"] == 8
    assert result["varied"] == ["batch_size", "learning_rate"]
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
    assert others == [[], [], []], "what was not chosen is not tested"
    for name in ("settings", "parallel", "learning", "distribution"):
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_the_report_holds_all_that_it_shows(home) -> None:
    page = (home / "grid" / "report.html").read_text()
    assert "<td>fdl sweep mlp --dataset mnist-5k --epochs 1 --grid" in page
    assert re.search(r"<td>python [\d.]+, fdl [\d.]+, jax [\d.]+", page)
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    best = json.loads((home / "grid" / "result.json").read_text())["configurations"][0]
    for part in ("summary", "test"):
        assert f"{best[part]['mean']:.2%}" in page


def test_the_best_member_is_a_run(home, capsys) -> None:
    run("eval", home / "grid" / "best")
    result = json.loads((home / "grid" / "result.json").read_text())
    first, best = result["configurations"][0], result["best"]
    assert best["validation"]["accuracy"] == max(first["values"])
    assert best["test"]["accuracy"] in first["test_values"]
    out = capsys.readouterr().out
    assert f"test accuracy {best['test']['accuracy']:.2%}" in out


def test_the_same_command_goes_on(home, capsys) -> None:
    options = ("--learning-rate", 1e-2, "--seeds", 4, "--run", home / "fast")
    before = json.loads((home / "fast" / "result.json").read_text())
    run("sweep", "mlp", *SMALL, *options, "--json", "--quiet")
    said, err = capsys.readouterr()
    assert err == ""
    after = read_json(home / "fast" / "result.json")
    assert after["configurations"] == before["configurations"]
    assert after["epochs_trained"] == before["epochs_trained"] == 4
    assert after["seconds"] == before["seconds"]
    assert json.loads(said) == {"path": str(home / "fast")} | after
    run("sweep", f"--run={home / 'fast'}", "--json", "--quiet")
    assert json.loads(capsys.readouterr().out) == json.loads(said)


def test_halving_from_the_command_line(tmp_path) -> None:
    options = ("--random", "learning-rate=log:1e-5:1e-2", "--samples", 4, "--halving")
    run("sweep", "mlp", *SMALL, "--epochs", 3, *options, "--run", tmp_path / "a")
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert [one["epochs"] for one in result["configurations"]] == [3, 3, 1, 1]


def test_compare_says_who_is_better(home, capsys) -> None:
    picture = home / "comparison.png"
    run("compare", home / "slow", home / "fast", "--picture", picture)
    text = " ".join(capsys.readouterr().out.split())
    slow, fast = (
        np.array(
            json.loads((home / name / "result.json").read_text())["configurations"][0][
                "test_values"
            ]
        )
        for name in ("slow", "fast")
    )
    found = paired_difference(slow, fast)
    assert f"fast minus slow: {found.mean:.2%}" in text
    assert f"(95 %: {found.low:.2%} to {found.high:.2%}) over 4 seeds" in text
    assert "fast is better: the interval does not contain 0" in text
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 300
    run("compare", home / "fast", home / "fast", "--picture", picture)
    assert "do not tell which is better" in capsys.readouterr().out


def test_what_cannot_be_compared_gets_one_line(home, capsys) -> None:
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
        (("--grid", f"epochs={10**12}"), "epochs=1,000,000,000,000 of 1 members"),
        (("--grid", "batch-size=5000"), "5000"),
        (("--members-per-chunk", 0), "members_per_chunk=0"),
        (("--grid", "epochs=1,2", "--halving"), "do not sweep over them"),
        (("--grid", "epochs=1,2", "--validation", "none"), "sweep over seeds alone"),
        (("--halving", "--validation", "none"), "choose what goes on by"),
    ],
)
def test_bad_input_gets_one_line(words, message, capsys, tmp_path) -> None:
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
def test_there_must_be_a_sweep_to_go_on_with(words, message, capsys) -> None:
    assert message in complaint(capsys, "sweep", *words)


def test_eval_of_a_sweep_names_its_best_member(home, capsys) -> None:
    said = complaint(capsys, "eval", home / "grid")
    assert f"is a sweep and not a run; its best member is {home / 'grid/best'}" in said


def test_another_sweep_in_the_folder_is_left_alone(home, capsys) -> None:
    options = ("--seeds", 5, "--run", home / "fast")
    said = complaint(capsys, "sweep", "mlp", *SMALL, *options)
    assert "holds another sweep: learning_rate was 0.01 and is 0.001" in said
    assert f"`fdl sweep --run {home / 'fast'}`" in said
