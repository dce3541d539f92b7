"""The verdict of `fdl compare`, from results written by hand."""

import json

import pytest

from fdl.cli import main


def sweep(folder, mode: str, values: list[float]) -> str:
    """Write the folder of a finished sweep of one configuration."""
    folder.mkdir()
    result = {
        "metric": "loss",
        "mode": mode,
        "configurations": [
            {"seeds": list(range(len(values))), "test_values": values, "diverged": 0}
        ],
    }
    (folder / "result.json").write_text(json.dumps(result))
    return str(folder)


@pytest.mark.parametrize(
    ("mode", "better"), [("min", "small"), ("max", "large")], ids=["min", "max"]
)
@pytest.mark.parametrize("order", [("small", "large"), ("large", "small")])
def test_the_better_sweep_is_named(tmp_path, capsys, mode, better, order) -> None:
    values = {"small": [0.10, 0.12, 0.11, 0.13], "large": [0.31, 0.34, 0.30, 0.35]}
    folders = [sweep(tmp_path / name, mode, values[name]) for name in order]
    main(["compare", *folders, "--picture", str(tmp_path / "picture.png")])
    text = " ".join(capsys.readouterr().out.split())
    assert f"{better} is better: the interval does not contain 0" in text


def test_runs_are_drawn_in_one_picture(tmp_path, capsys) -> None:
    about = {"task": "mlp", "dataset": "a", "metric": "accuracy", "mode": "max"}
    line = {"epoch": 1, "step": 1, "train": {"accuracy": 0.5}, "seconds": 1.0}
    for name, accuracy in (("plain", 0.25), ("residual", 0.75)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(about))
        metrics = json.dumps(line | {"validation": {"accuracy": accuracy}})
        (tmp_path / name / "metrics.jsonl").write_text(metrics + "\n")
    folders = [str(tmp_path / name) for name in ("plain", "residual")]
    main(["compare", *folders, "--picture", str(tmp_path / "curves.svg")])
    text = capsys.readouterr().out
    assert "50.00%" in text
    assert "75.00%" in text
    assert (tmp_path / "curves.svg").is_file()
    with pytest.raises(SystemExit):
        main(["compare", folders[0]])
    assert "needs two or more folders" in capsys.readouterr().err
