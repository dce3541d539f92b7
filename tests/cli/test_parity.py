"""`fdl parity` passes, and fails visibly when something is broken on purpose."""

import functools
import importlib.util
import json
import os
import re
from pathlib import Path

import jax.numpy as jnp
import pytest

import fdl
from fdl.cli import main
from fdl.cli import parity as command
from parity import ladder, subjects
from parity.pick import DRAWS
from parity.rungs import Rung

parity = pytest.mark.parity


@pytest.fixture
def short(monkeypatch):
    """Measure one optimizer of five, and three steps of twenty."""
    adam = {"Adam": ladder.OPTIMIZERS["Adam"]}
    monkeypatch.setattr(ladder, "OPTIMIZERS", adam)
    monkeypatch.setattr(ladder, "STEPS", 3)


def run(*words: str, code: int | None = None) -> None:
    # Patches apply only within this process.
    words = ("parity", "--processes", "1", *words)
    if code is None:
        main(words)
        return
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == code


@parity
def test_prints_a_table_and_writes_files(capsys, tmp_path, short) -> None:
    run("mlp", "AveragePooling2D", "--out", str(tmp_path))
    out = capsys.readouterr().out
    assert "level 4" in out
    assert "float64" in out
    rows = json.loads((tmp_path / "parity.json").read_text())["rows"]
    assert [row["command"] for row in rows.values()] == [
        "fdl parity mlp",
        "fdl parity AveragePooling2D",
    ]
    assert [row["parameters"] for row in rows.values()] == [101_770, 0]
    assert all(row["versions"]["keras"] for row in rows.values())
    rungs = [rung for row in rows.values() for rung in row["rungs"]]
    climbed = [(r["subject"], r["precision"], r["level"]) for r in rungs]
    assert climbed == [
        *(("mlp", "float32", level) for level in range(5)),
        *(("mlp", "float64", level) for level in range(5)),
        *(("AveragePooling2D", "float32", level) for level in (1, 2)),
        *(("AveragePooling2D", "float64", level) for level in (1, 2)),
    ]
    assert all(rung["passed"] for rung in rungs)
    draws = [rung["draws"] for rung in rungs]
    assert draws == [1] * 10 + [DRAWS] * 4, "layers are drawn with all their options"
    assert all(0 <= rung["error"] <= rung["tolerance"] for rung in rungs)
    lines = (tmp_path / "parity.md").read_text().splitlines()
    assert lines[2].startswith("| mlp | float32 | 0e+00 |")
    assert len(lines) == 6


@parity
def test_a_wrong_epsilon_in_a_layer_fails(capsys, tmp_path, monkeypatch) -> None:
    layer = functools.partial(fdl.nn.LayerNormalization, epsilon=1e-6)
    monkeypatch.setattr(fdl.nn, "LayerNormalization", layer)
    draws = subjects.LAYERS["LayerNormalization"]()[:1]
    monkeypatch.setitem(subjects.LAYERS, "LayerNormalization", lambda: draws)
    run("LayerNormalization", "--out", str(tmp_path), code=1)
    out, err = capsys.readouterr()
    assert "FAIL" in out
    assert re.search(r"LayerNormalization, float32, level 1: .*output: error", err)
    assert "LayerNormalization, float64, level 2: " in err


@parity
def test_a_wrong_epsilon_in_an_optimizer_fails(
    capsys, tmp_path, monkeypatch, short
) -> None:
    adam = fdl.keras.adam
    wrong = lambda *args, epsilon, **options: adam(*args, **options, epsilon=1e-8)
    monkeypatch.setattr(fdl.keras, "adam", wrong)
    run("mlp", "--out", str(tmp_path), code=1)
    err = " ".join(capsys.readouterr().err.split())
    assert "mlp, float64, level 3: Adam, step" in err
    assert "mlp, float64, level 4: loss at step" in err
    assert "level 2" not in err


@parity
def test_a_wrong_order_of_gates_fails(capsys, tmp_path, monkeypatch, short) -> None:
    draws = subjects.LAYERS["LSTM"]()[:1]
    monkeypatch.setitem(subjects.LAYERS, "LSTM", lambda: draws)
    lstm = fdl.ops.lstm

    def swap(array):
        i, f, c, o = jnp.split(array, 4, axis=-1)
        return jnp.concatenate([f, i, c, o], axis=-1)

    def wrong(x, kernel, recurrent_kernel, bias, state, **options):
        weights = map(swap, (kernel, recurrent_kernel, bias))
        return lstm(x, *weights, state, **options)

    monkeypatch.setattr(fdl.ops, "lstm", wrong)
    run("LSTM", "--out", str(tmp_path), code=1)
    err = " ".join(capsys.readouterr().err.split())
    assert re.search(r"LSTM, float32, level 1: (draw \d: )?output", err)
    assert "LSTM, float64, level 2: " in err
    assert "level 0" not in err, "the arrays have the right names and shapes"


def test_missing_requirements_are_named(capsys, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        find = importlib.util.find_spec
        absent = lambda name: None if name == "keras" else find(name)
        patch.setattr(importlib.util, "find_spec", absent)
        run(code=2)
    assert "needs keras, which is not installed: pip install" in capsys.readouterr().err
    monkeypatch.setattr(fdl, "__file__", str(Path(tmp_path, "fdl", "__init__.py")))
    run(code=2)
    assert "clone fdl" in capsys.readouterr().err


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Names that were measured; one model, one layer and two applications are known."""
    names: list[str] = []

    def measure(name: str, large: bool) -> dict:
        names.append(name)
        return row(name, large)

    for table, known in {"MODELS": ["mlp"], "LAYERS": ["Dense"]}.items():
        monkeypatch.setattr(subjects, table, dict.fromkeys(known))
    some = dict.fromkeys(["ResNet50", "VGG16"])
    monkeypatch.setattr(subjects, "applications", lambda: some)
    monkeypatch.setattr(command, "_measure", measure)
    return names


def row(name: str, large: bool) -> dict:
    rung = Rung(name, "float64", 1, 0.0, "output")
    return {"command": f"{name} {large} {os.getpid()}", "rungs": [rung._asdict()]}


def written(folder: Path) -> dict[str, str]:
    rows = json.loads((folder / "parity.json").read_text())["rows"]
    return {name: row["command"] for name, row in rows.items()}


def test_only_large_measures_all_of_keras_applications(measured, tmp_path) -> None:
    run("--out", str(tmp_path))
    assert measured == ["mlp", "Dense"]
    measured.clear()
    run("--large", "--out", str(tmp_path))
    assert measured == ["mlp", "Dense", "ResNet50", "VGG16"]
    measured.clear()
    run("VGG16", "--out", str(tmp_path))
    assert measured == ["VGG16"]


def test_earlier_rows_are_kept(measured, tmp_path) -> None:
    run("VGG16", "--large", "--out", str(tmp_path))
    run("mlp", "--out", str(tmp_path))
    run("--large", "--resume", "--out", str(tmp_path))
    assert measured == ["VGG16", "mlp", "Dense", "ResNet50"], "resumed"
    run("mlp", "--resume", "--large", "--out", str(tmp_path))
    assert measured[4:] == ["mlp"], "requested by name"
    pid = os.getpid()
    assert written(tmp_path) == {
        name: f"{name} True {pid}" for name in ("mlp", "Dense", "ResNet50", "VGG16")
    }
    lines = (tmp_path / "parity.md").read_text().splitlines()
    assert [line.split()[1] for line in lines[2:]] == list(written(tmp_path))


def test_each_row_is_written_once_measured(measured, tmp_path, monkeypatch) -> None:
    def measure(name: str, large: bool) -> dict:
        if name == "Dense":
            raise KeyboardInterrupt
        return row(name, large)

    monkeypatch.setattr(command, "_measure", measure)
    run("--out", str(tmp_path), code=130)
    assert list(written(tmp_path)) == ["mlp"]


def test_several_processes_measure(measured, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "_measure", row)
    main(["parity", "--large", "--processes", "2", "--out", str(tmp_path)])
    found = written(tmp_path)
    assert list(found) == ["mlp", "Dense", "ResNet50", "VGG16"]
    assert str(os.getpid()) not in {line.split()[-1] for line in found.values()}


def test_refuses_to_write_over_something_else(measured, tmp_path, capsys) -> None:
    (tmp_path / "parity.json").write_text('{"rungs": []}')
    run("--out", str(tmp_path), code=2)
    assert "was not written by this version of fdl parity" in capsys.readouterr().err
    assert not measured
    run("--processes", "0", code=2)
    assert "--processes must be at least 1, not 0" in capsys.readouterr().err


@parity
def test_refuses_an_unknown_name(capsys) -> None:
    run("lstmm", code=2)
    err = capsys.readouterr().err
    assert "there is no 'lstmm' to compare; choose from cnn, mlp, " in err
