"""`fdl summary` of a task; the tests of runs and of imported models cover theirs."""

import json

from shell import fdl as command


def test_a_task_is_summarized_with_its_options(tmp_path) -> None:
    options = ("--dataset", "mnist-5k", "--depth", 14, "--levels", 1)
    lines = command("summary", "resnet", *options, cwd=tmp_path).stdout.splitlines()
    assert lines[3].split()[:3] == ["conv2_block1", "ResidualBlock", "28x28x16"]
    total = "CIFARResNet on 28x28x1: 176,090 parameters, of which 174,970 are trained; "
    assert lines[-1].startswith(total)
    options = ("--dataset", "mnist-5k", "--freeze", "dense1", "--json")
    options += ("--svg", "net.svg")
    summary = json.loads(command("summary", "mlp", *options, cwd=tmp_path).stdout)
    assert list(summary) == ["model"]
    assert summary["model"]["layers"][0]["name"] == "dense1"
    assert [layer["trained"] for layer in summary["model"]["layers"]] == [0, 0, 1290]
    assert (tmp_path / "net.svg").read_text().startswith("<?xml")


def test_bad_input_gets_one_line(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for words, complaint in (
        (("resnett",), "did you mean 'resnet'"),
        (("runs/a",), "runs/a"),
        (("empty",), "empty"),
        (("mlp", "--dataset", "mnist-5k", "--levels", 0), "levels=0 must be"),
        (("mlp", "--dataset", "mnist-5k", "--svg", "a.png"), "--svg=a.png must end"),
    ):
        error = command("summary", *words, cwd=tmp_path, code=2).stderr
        assert complaint in error
        assert error.count("\n") == 1
