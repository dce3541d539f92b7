"""`fdl export`, and predictions from an exported file."""

import json

import numpy as np
from shell import complaint

from fdl import data
from fdl.cli import main


def test_an_exported_file_predicts_as_its_run_does(home, tmp_path, capsys) -> None:
    file = tmp_path / "x.stablehlo"
    main(["export", f"{home}/runs/a", "--to", str(file), "--parameters", "beside"])
    assert str(tmp_path / "x.safetensors") in capsys.readouterr().out
    images = data.load("mnist-5k").test.image[:3]
    np.save(tmp_path / "some.npy", images)
    predictions = []
    for run in (f"{home}/runs/a", file):
        main(["predict", str(run), f"{tmp_path}/some.npy", "--json"])
        predictions.append(
            [json.loads(x) for x in capsys.readouterr().out.splitlines()]
        )
    assert [x["name"] for x in predictions[0]] == [x["name"] for x in predictions[1]]
    np.testing.assert_allclose(
        *[[x["probabilities"] for x in each] for each in predictions], atol=1e-5
    )


def test_bad_files_get_one_line(home, tmp_path, capsys) -> None:
    run, file = home / "runs/a", tmp_path / "x.stablehlo"
    line = complaint(["export", run, "--to", tmp_path / "x.pt"], capsys)
    assert ".stablehlo" in line
    (tmp_path / "x.safetensors").write_text("my own")
    beside = ["--to", file, "--parameters", "beside"]
    line = complaint(["export", run, *beside], capsys)
    assert "x.safetensors already exists" in line
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    file.write_text("not StableHLO")
    line = complaint(["predict", file, "one.png"], capsys)
    assert "x.stablehlo is damaged, or was not written by fdl" in line
    line = complaint(["eval", file], capsys)
    assert "x.stablehlo is a file, not the folder of a run" in line
    (tmp_path / "x.keras").write_text("Keras")
    line = complaint(["summary", tmp_path / "x.keras"], capsys)
    assert "x.keras is a file" in line
    assert "fdl import" in line
