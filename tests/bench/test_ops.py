"""The table of operations compares equal results, and summarizes their times."""

import json

import pytest

from bench.ops import report, run
from bench.ops.rows import ROWS, Row
from bench.ops.worker import Worker

TINY = Row("tiny", "dense", {"channels": 3, "features": 2}, (4, 5))


class Here:
    """A side of the comparison, run in this process."""

    def __init__(self, side):
        self.worker = Worker(side)

    def ask(self, name, *arguments):
        return getattr(self.worker, name)(*arguments)


@pytest.fixture(scope="module")
def sides():
    return {side: Here(side) for side in ("fdl", "xla")}


def _measured(sides, use="training"):
    extent = run.Extent(turns=2, block=1e-4, most=1.0)
    return run.measure(TINY, 4, use, None, sides, extent)


def test_a_row_is_measured_and_reported(sides, tmp_path, monkeypatch):
    monkeypatch.setitem(ROWS, "tiny", TINY)
    cells = [_measured(sides, use) for use in ("training", "loop")]
    for cell in cells:
        for found in cell["sides"].values():
            assert set(found["errors"]) == {"output", "x", "kernel"}
            assert max(found["errors"].values()) < 1e-5
            assert len(found["wall"]) == len(found["cpu"]) == 2
            assert min(found["wall"]) > 0
            assert found["compile"] > 0
            assert found["temporary"] >= 0
    # Known times for a known table: fdl takes 2 and 3 times as long.
    for cell in cells:
        cell["sides"]["fdl"]["wall"] = [4.0, 3.0]
        cell["sides"]["fdl"]["cpu"] = [3.0, 3.0]
        cell["sides"]["xla"]["wall"] = [2.0, 1.0]
        cell["sides"]["xla"]["cpu"] = [2.0, 2.0]
    machine = {"device": "cpu", "threads": 2, "memory_gib": 1}
    text = json.dumps({"machine": machine, "cells": cells})
    (tmp_path / "tiny.json").write_text(text)
    written = report.write(tmp_path).read_text()
    assert "| training | wall | 1 | 0.42 | 0.42, tiny 4 | 1 | 1 |" in written
    assert "| training | processor | 1 | 0.67 | 0.67, tiny 4 | 0 | 1 |" in written
    assert "**0.42** (0.35 - 0.48)" in written


def test_results_that_disagree_are_not_timed(sides, monkeypatch):
    def doubled(file, **arrays):
        savez(file, **{name: 2 * x for name, x in arrays.items()})

    from bench.ops import worker

    savez = worker.np.savez
    ask = sides["xla"].ask

    def asked(name, *arguments):
        with monkeypatch.context() as changed:
            changed.setattr(worker.np, "savez", doubled)
            return ask(name, *arguments)

    monkeypatch.setattr(sides["xla"], "ask", asked)
    found = _measured(sides)["sides"]["xla"]
    assert list(found) == ["failed"]
    assert "differs from fdl's by 1.0e+00" in found["failed"]


def test_loops_are_measured_at_the_middle_batch():
    row = TINY._replace(batches=(1, 64, 1024))
    assert [b for b, use in run.cells(row, ("training", "loop"), ()) if use == "loop"]
    assert run.cells(row, ("loop",), ()) == [(64, "loop")]
    assert run.cells(row, ("forward", "loop"), (1,)) == [(1, "forward")]


def test_rows_are_chosen_by_name():
    assert {row.operation for row in run.chosen(["lstm"])} == {"lstm"}
    assert [row.name for row in run.chosen(["*11x11*"])] == ["conv-11x11-s4-227x227x3"]
    assert len(run.chosen([])) == len(ROWS)
    with pytest.raises(ValueError, match="'lstn' is not a row"):
        run.chosen(["lstn"])
