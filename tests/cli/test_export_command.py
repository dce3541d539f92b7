"""A run leaves fdl, and what it predicts comes back."""

import json

import numpy as np
from shell import complaint

from fdl import data
from fdl.cli import main


def test_a_file_predicts_what_its_run_does(home, tmp_path, capsys) -> None:
    file = tmp_path / "x.stablehlo"
    main(["export", f"{home}/runs/a", "--to", str(file), "--parameters", "beside"])
    assert str(tmp_path / "x.safetensors") in capsys.readouterr().out
    images = data.load("mnist-5k").test.image[:3]
    np.save(tmp_path / "some.npy", images)
    lines = []
    for run in (f"{home}/runs/a", file):
        main(["predict", str(run), f"{tmp_path}/some.npy", "--json"])
        lines.append([json.loads(x) for x in capsys.readouterr().out.splitlines()])
    assert [x["name"] for x in lines[0]] == [x["name"] for x in lines[1]]
    np.testing.assert_allclose(
        *[[x["probabilities"] for x in each] for each in lines], atol=1e-5
    )


def test_what_cannot_be_done_is_one_line(home, tmp_path, capsys) -> None:
    run, file = home / "runs/a", tmp_path / "x.stablehlo"
    line = complaint(["export", run, "--to", tmp_path / "x.pt"], capsys)
    assert ".stablehlo" in line
    (tmp_path / "x.safetensors").write_text("dear to me")
    beside = ["--to", file, "--parameters", "beside"]
    line = complaint(["export", run, *beside], capsys)
    assert "x.safetensors already exists" in line
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    file.write_text("no function")
    line = complaint(["predict", file, "one.png"], capsys)
    assert "x.stablehlo is damaged, or was not written by fdl" in line
    line = complaint(["eval", file], capsys)
    assert "x.stablehlo is a file, not the folder of a run" in line
    (tmp_path / "x.keras").write_text("of Keras")
    line = complaint(["summary", tmp_path / "x.keras"], capsys)
    assert "x.keras is a file" in line
    assert "fdl import" in line
