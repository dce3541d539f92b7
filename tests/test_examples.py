"""Every example runs, in its smoke size, as its file says."""

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, monkeypatch) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)  # dataclasses look it up
    spec.loader.exec_module(module)
    measured = module.main(module.SMOKE)
    assert 0.2 < measured["accuracy"] <= 1, "better than chance, which is 0.1"
    assert 60 <= len(path.read_text().splitlines()) <= 150
