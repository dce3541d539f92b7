"""The README says what is so."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import fdl
from bench.tables import MEASURED, filled, measured
from runs.small import few

pytestmark = pytest.mark.drawn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_come_from_result_files() -> None:
    assert filled(README) == README, "run python -m bench.tables"
    assert json.loads(MEASURED.read_text()) == measured(), "run python -m bench.tables"


def test_first_screen_has_the_two_commands() -> None:
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block is not None
    first, second = block.group(1).splitlines()
    assert first.startswith("pip install '.[sample]' && fdl train cnn")
    assert second.startswith("pip install -e '.[test]' && pytest")


def test_the_fifteen_lines_and_many_at_once_run(capsys, monkeypatch) -> None:
    digits = few(400)
    monkeypatch.setattr(fdl.data, "load", lambda *args: digits)
    first, many, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(first.splitlines()) <= 15
    scope = {}
    exec(first.replace("epochs=20", "epochs=1"), scope)
    assert scope["probabilities"].shape == (400, 10)
    assert "accuracy" in capsys.readouterr().out
    exec(many.replace("64", "4").replace("epochs=5", "epochs=1"), scope)
    assert scope["run"].validation["accuracy"].shape == (4, 1)
    assert int(scope["best"].step) == 100


def test_weights_go_to_keras_and_back(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (code,) = (block for block in blocks if "again.keras" in block)
    model, image = fdl.models.CNN(10), jax.numpy.zeros((1, 28, 28, 1))
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(0), image))
    fdl.keras.save_weights("cnn.keras", model, variables, image)
    scope = {}
    exec(code, scope)
    again = fdl.keras.load_weights("again.keras", model)
    for tree in (scope["variables"], again):
        jax.tree.map(np.testing.assert_array_equal, tree, variables)


def test_every_promise_names_a_test() -> None:
    section = README.partition("## What fdl promises")[2].partition("\n<!-- ")[0]
    rows = [row for row in section.splitlines() if row.startswith("| ")][2:]
    assert rows
    for row in rows:
        parts = re.split(r"\]\((tests/[\w/.]+)\)", row)
        assert len(parts) > 1, row
        for file, names in zip(parts[1::2], parts[2::2], strict=True):
            code = (ROOT / file).read_text(encoding="utf-8")
            found = re.findall(r"`(test_\w+)`", names)
            assert found, row
            for name in found:
                assert f"def {name}(" in code, f"{file} has no {name}"


def test_links_and_pictures_are_there() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert not [name for name in targets if not (ROOT / name).exists()]


def test_models_work_in_nnx() -> None:
    from flax import nnx

    x = jax.numpy.ones((2, 28, 28, 1))
    model = nnx.bridge.ToNNX(fdl.models.CNN(10), rngs=nnx.Rngs(0)).lazy_init(x)
    assert model(x).shape == (2, 10)
