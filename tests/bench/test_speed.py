"""The comparison with other frameworks computes the same; speed is not tested."""

import importlib
import json
import runpy
import shutil
import sys

import jax
import numpy as np
import pytest

from bench.speed import report
from bench.speed.cases import CASES, examples
from bench.speed.rows import ROWS


def _concatenated(arrays):
    return np.concatenate([np.ravel(arrays[name]) for name in sorted(arrays)])


# One case is enough: `bench run` compares all of them before it measures.
@pytest.mark.parametrize("name", ["lstm"])
@pytest.mark.parametrize("rival", ["flax_"])
def test_twins_agree_in_double_precision(name, rival):
    wide = lambda arrays: {
        key: x.astype(float) if x.dtype == np.float32 else x
        for key, x in arrays.items()
    }
    ours, theirs = (
        importlib.import_module(f"bench.speed.rivals.{module}")
        for module in ("fdl_", rival)
    )
    with jax.enable_x64(True):
        batch = wide(examples(CASES[name], 3))
        fdl = ours.Twin(name)
        params, drawn = fdl.draw(batch)
        assert sorted(drawn) == sorted(key for key in batch if key.startswith("draw_"))
        batch |= drawn
        twin = theirs.Twin(name)
        steps = []
        for each in (fdl, twin):
            each.load(wide(params))
            steps.append(each.first_step(batch))
    a, b = steps
    np.testing.assert_allclose(b.outputs, a.outputs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(b.loss, a.loss, rtol=1e-6)  # ours sums in float32
    for ours, theirs in ((a.gradients, b.gradients), (a.params, b.params)):
        ours, theirs = _concatenated(ours), _concatenated(theirs)
        there = ~np.isnan(theirs)
        assert there.mean() > 0.95
        error = np.linalg.norm((ours - theirs)[there]) / np.linalg.norm(ours)
        assert error < 1e-9


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run of one case."""
    out = tmp_path_factory.mktemp("speed")
    words = "bench run mlp --quick --rounds 2 --against flax --out".split()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*words, str(out)])
        runpy.run_module("bench", run_name="__main__")
    return out


def test_quick_run(quick):
    result = json.loads((quick / "mlp.json").read_text())
    assert list(result["rows"]) == ["fdl", "flax"]
    assert result["flops"] == 2 * 32 * (2 * 784 * 32 + 3 * 32 * 10)
    assert {"jax", "keras", "tensorflow-cpu"} <= set(result["versions"])
    assert {"device", "threads", "memory_gib"} == set(result["machine"])
    for row, found in result["rows"].items():
        assert found["setting"] in ROWS[row].settings
        assert found["import"] > 0
        cell = found["cells"]["train 32"]
        assert len(cell["seconds"]) == 2
        assert min(cell["seconds"]) > 0
        assert cell["first"] > 0
        assert cell["memory"] > 50
        assert set(found["errors"]) == {"outputs", "loss", "gradients", "params"}
        assert max(found["errors"].values()) < 1e-4
        assert (max(found["errors"].values()) == 0) == (row == "fdl")
    text = (quick / "report.md").read_text()
    for title in ("MLP 784-32-10", ROWS["flax"].title, "rival / fdl"):
        assert title in text
    assert (quick / "training.png").stat().st_size > 1000


def test_fdl_is_compared_with_flax(quick):
    result = json.loads((quick / "mlp.json").read_text())
    for row, seconds, memory in (("fdl", 1.2, 600.0), ("flax", 1.0, 500.0)):
        cell = result["rows"][row]["cells"]["train 32"]
        assert 50 < cell["memory"] < 5000
        cell |= {"seconds": [seconds], "memory": memory}
    *_, line = report.beside_flax({"mlp": result})
    assert line.endswith("| train 32 | 0.83 (0.83 - 0.83) | 0.83 | slower and larger |")


def test_compilation_is_the_extra_time_of_the_first_block(quick):
    result = json.loads((quick / "mlp.json").read_text())
    assert 0 < result["rows"]["fdl"]["init"] < 60
    result["rows"]["fdl"]["init"] = 2.0
    for row, first in (("fdl", 33.5), ("flax", 4.0)):
        cell = result["rows"][row]["cells"]["train 32"]
        cell |= {"first": first, "times": 5, "seconds": [0.1, 0.2, 0.6]}
    *_, line = report.compilation({"mlp": result})
    assert line == "| MLP 784-32-10 | 2.0 s | 32.5 s | 3.0 s | too long |"


@pytest.mark.parametrize(
    ("time", "memory", "verdict"),
    [
        (0.96, 0.96, ""),
        (0.94, 0.96, "slower"),
        (1.25, 0.85, "larger"),
        (1.6, 0.85, ""),
        (1.6, 0.75, "larger"),
    ],
)
def test_a_faster_case_may_be_larger(time, memory, verdict):
    assert report.broken(time, memory) == verdict


def test_report_refuses_other_machines(quick, tmp_path):
    shutil.copy(quick / "mlp.json", tmp_path / "mlp.json")
    other = json.loads((quick / "mlp.json").read_text())
    other["case"] = "cnn"
    other["machine"]["threads"] += 1
    (tmp_path / "cnn.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="different machines"):
        report.write(tmp_path)
    assert not (tmp_path / "report.md").exists()


def test_disagreement_is_a_failure(quick, tmp_path, monkeypatch):
    from bench.speed import run

    monkeypatch.setattr(run, "_compare", lambda *files: {"outputs": 1e-3})
    monkeypatch.setattr(run, "_require_agreement", _strict(run._require_agreement))
    assert not run.run(["mlp"], ["flax"], tmp_path, run.QUICK._replace(rounds=1))
    result = json.loads((tmp_path / "mlp.json").read_text())
    assert "outputs differ" in result["rows"]["flax"]["failed"]
    report.write(tmp_path)
    assert "outputs differ" in (tmp_path / "report.md").read_text()


def _strict(check):
    """Skip the first row, which is that of fdl."""
    rows = iter(range(9))
    return lambda *arguments: None if next(rows) == 0 else check(*arguments)


def test_no_results_no_report(tmp_path):
    with pytest.raises(ValueError, match="has no results"):
        report.write(tmp_path)
