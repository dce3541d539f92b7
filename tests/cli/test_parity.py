"""`fdl parity`: it passes, and it fails visibly when something is broken on purpose."""

import functools
import importlib.util
import json
import re
from pathlib import Path

import jax.numpy as jnp
import pytest

import fdl
from fdl.cli import main
from parity import ladder, subjects
from parity.pick import DRAWS

parity = pytest.mark.parity


@pytest.fixture
def short(monkeypatch):
    """One optimizer and three steps of an epoch, of five and twenty."""
    adam = {"Adam": ladder.OPTIMIZERS["Adam"]}
    monkeypatch.setattr(ladder, "OPTIMIZERS", adam)
    monkeypatch.setattr(ladder, "STEPS", 3)


def run(*words: str, code: int | None = None) -> None:
    if code is None:
        main(["parity", *words])
        return
    with pytest.raises(SystemExit) as stopped:
        main(["parity", *words])
    assert stopped.value.code == code


@parity
def test_prints_a_table_and_writes_files(capsys, tmp_path, short) -> None:
    run("mlp", "AveragePooling2D", "--out", str(tmp_path))
    out = capsys.readouterr().out
    assert "level 4" in out
    assert "float64" in out
    record = json.loads((tmp_path / "parity.json").read_text())
    assert record["command"] == "fdl parity mlp AveragePooling2D"
    assert record["versions"]["keras"]
    climbed = [(r["subject"], r["precision"], r["level"]) for r in record["rungs"]]
    assert climbed == [
        *(("mlp", "float32", level) for level in range(5)),
        *(("mlp", "float64", level) for level in range(5)),
        *(("AveragePooling2D", "float32", level) for level in (1, 2)),
        *(("AveragePooling2D", "float64", level) for level in (1, 2)),
    ]
    assert all(rung["passed"] for rung in record["rungs"])
    draws = [rung["draws"] for rung in record["rungs"]]
    assert draws == [1] * 10 + [DRAWS] * 4, "layers are met in all their options"
    assert all(0 <= rung["error"] <= rung["tolerance"] for rung in record["rungs"])
    lines = (tmp_path / "parity.md").read_text().splitlines()
    assert lines[2].startswith("| mlp | float32 | 0e+00 |")
    assert len(lines) == 6


@parity
def test_a_wrong_epsilon_in_a_layer_fails(capsys, tmp_path, monkeypatch) -> None:
    layer = functools.partial(fdl.nn.LayerNormalization, epsilon=1e-6)
    monkeypatch.setattr(fdl.nn, "LayerNormalization", layer)
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
    assert "level 0" not in err, "the arrays are there, and in their places"


def test_says_what_is_missing(capsys, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        find = importlib.util.find_spec
        absent = lambda name: None if name == "keras" else find(name)
        patch.setattr(importlib.util, "find_spec", absent)
        run(code=2)
    assert "needs keras, which is not installed: pip install" in capsys.readouterr().err
    monkeypatch.setattr(fdl, "__file__", str(Path(tmp_path, "fdl", "__init__.py")))
    run(code=2)
    assert "clone fdl" in capsys.readouterr().err


@parity
@pytest.mark.parametrize("large", [False, True])
def test_only_large_measures_all_of_keras_applications(
    large, tmp_path, monkeypatch
) -> None:
    climbed = []
    monkeypatch.setattr(subjects, "MODELS", {"mlp": subjects.MODELS["mlp"]})
    monkeypatch.setattr(subjects, "LAYERS", {})
    some = {name: lambda name=name: [name] for name in ("ResNet50", "VGG16")}
    monkeypatch.setattr(subjects, "applications", lambda: some)
    monkeypatch.setattr(
        ladder, "climb_all", lambda draws, large: climbed.extend(draws) or []
    )
    run(*(["--large"] if large else []), "--out", str(tmp_path))
    assert climbed[1:] == (["ResNet50", "VGG16"] if large else [])
    climbed.clear()
    run("VGG16", "--out", str(tmp_path))
    assert climbed == ["VGG16"]


@parity
def test_refuses_an_unknown_name(capsys) -> None:
    run("lstmm", code=2)
    err = capsys.readouterr().err
    assert "there is no 'lstmm' to compare; known are cnn, mlp, " in err
