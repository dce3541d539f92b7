"""Curves of several runs and sweeps in one picture."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from fdl import report
from fdl.files import json_text
from fdl.runs import RunError, learning

CONFIG = {"task": "mlp", "dataset": "mnist-5k", "metric": "accuracy", "mode": "max"}
HEAD = "member,configuration,seed,epoch,train_accuracy,validation_accuracy\n"


def run(folder, accuracies, *, validation=True, **about):
    folder.mkdir()
    (folder / "config.json").write_text(json_text(CONFIG | about))
    lines = [
        {
            "epoch": epoch,
            "step": epoch,
            "train": {"accuracy": x},
            "validation": {"accuracy": x + 0.01} if validation else {},
            "seconds": 1.0,
        }
        for epoch, x in enumerate(accuracies, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return folder


def sweep(folder, rows):
    run(folder, [], sweep={})
    (folder / "metrics.jsonl").unlink()
    (folder / "members.csv").write_text(HEAD + rows)
    return folder


def test_runs_and_sweeps_are_read_alike(tmp_path) -> None:
    one = run(tmp_path / "one", [0.5, 0.75])
    rows = "0,0,7,1,0.2,0.3\n1,0,8,1,0.4,0.5\n0,0,7,2,0.6,\n"
    a, b = learning([one, sweep(tmp_path / "many", rows)])
    assert (a.name, a.metric, a.test) == ("one", "accuracy", None)
    np.testing.assert_array_equal(a.train, [[0.5, 0.75]])
    np.testing.assert_allclose(a.validation, [[0.51, 0.76]])
    np.testing.assert_array_equal(b.train, [[0.2, 0.6], [0.4, np.nan]])
    np.testing.assert_array_equal(b.validation, [[0.3, np.nan], [0.5, np.nan]])


def test_a_sweep_has_the_mean_of_its_seeds_on_the_test_set(tmp_path) -> None:
    lines = [
        "0,0,7,1,0.2,0.3,0.5,-1",
        "1,0,8,1,0.4,0.5,0.7,-1",
        "2,0,9,1,0.1,0.1,0.1,1",
    ]
    folder = sweep(tmp_path / "many", "")
    head = HEAD.replace("\n", ",test_accuracy,diverged\n")
    (folder / "members.csv").write_text(head + "\n".join(lines))
    (folder / "result.json").write_text(
        json_text({"metrics": {"accuracy": 0.7}, "epochs_trained": 1})
    )
    (found,) = learning([folder])
    assert found.test == pytest.approx(0.6)


def test_folders_without_comparable_curves_are_refused(tmp_path) -> None:
    good = run(tmp_path / "good", [0.5])
    grid = sweep(tmp_path / "grid", "0,0,0,1,0.2,0.3\n1,1,0,1,0.2,0.3\n")
    bad = sweep(tmp_path / "bad", "0,0,0,one,0.2,0.3\n")
    other = run(tmp_path / "other", [0.5], metric="loss")
    new = run(tmp_path / "new", [])
    for folder, complaint in (
        (tmp_path, "neither a run nor a sweep"),
        (grid, "has 2 configurations"),
        (bad, "damaged"),
        (other, "good measured accuracy and other loss"),
        (new, "no epoch yet"),
    ):
        with pytest.raises(RunError, match=complaint):
            learning([good, folder])


def test_errors_of_both_parts_are_drawn_with_bands_of_seeds(
    tmp_path, monkeypatch
) -> None:
    figures = []
    keep = lambda figure, *arguments, **options: figures.append(figure)
    monkeypatch.setattr(Figure, "savefig", keep)
    train = {"plain": np.array([[0.8, 0.9]]), "residual": np.array([[0.5], [0.7]])}
    validation = {"plain": train["plain"] + 0.05, "residual": np.full((2, 1), np.nan)}
    report.draw_comparison(tmp_path / "a.png", train, validation, measure="accuracy")
    (axes,) = figures[0].axes
    assert axes.get_ylabel() == "Error (%)"
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    found = [(line.get_linestyle(), list(line.get_ydata())) for line in drawn]
    expected = [("--", [0.2, 0.1]), ("-", [0.15, 0.05]), ("--", [0.4])]
    for (style, values), (of, wanted) in zip(found, expected, strict=True):
        assert style == of
        assert values == pytest.approx(wanted)
    assert drawn[2].get_fillstyle() == "none", "one epoch is a hollow marker"
    assert len(axes.collections) == 1, "one band, over two seeds"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*train]
    assert "band from smallest to largest" in figures[0].get_supxlabel()
