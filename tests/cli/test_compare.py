"""The verdict of `fdl compare`, from results written by hand."""

import json

import pytest

from fdl.cli import main


def sweep(folder, mode: str, values: list[float]) -> str:
    """Write the folder of a finished sweep of one configuration."""
    folder.mkdir()
    seeds = list(range(len(values)))
    one = {"seeds": seeds, "test_values": values, "diverged": 0}
    result = {"metric": "loss", "mode": mode, "configurations": [one]}
    (folder / "result.json").write_text(json.dumps(result))
    return str(folder)


@pytest.mark.parametrize(
    ("mode", "better"), [("min", "small"), ("max", "large")], ids=["min", "max"]
)
@pytest.mark.parametrize("order", [("small", "large"), ("large", "small")])
def test_the_better_one_is_named(tmp_path, capsys, mode, better, order) -> None:
    values = {"small": [0.10, 0.12, 0.11, 0.13], "large": [0.31, 0.34, 0.30, 0.35]}
    folders = [sweep(tmp_path / name, mode, values[name]) for name in order]
    main(["compare", *folders, "--picture", str(tmp_path / "picture.png")])
    text = " ".join(capsys.readouterr().out.split())
    assert f"{better} is better: the interval does not contain 0" in text
