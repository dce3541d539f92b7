"""The command line, end to end."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shell import fdl

from fdl import data, tasks
from fdl.cli import main
from fdl.cli.grids import read_grid, read_ranges
from fdl.cli.train import Train


@pytest.fixture(scope="module")
def sample():
    return data.load("mnist-5k").test


def test_train_prints_its_result_and_files(home) -> None:
    out = (home / "out.txt").read_text()
    result = json.loads((home / "runs/a/result.json").read_text())
    assert f"test accuracy {result['metrics']['accuracy']:.2%} on mnist-5k" in out
    for name in ("curves.png", "confusion.png"):
        assert f"runs/a/{name}" in out
    err = (home / "err.txt").read_text()
    assert "epoch 2/2" in err
    assert "210/210" in err


def test_files_and_records_of_a_run_folder(home) -> None:
    run = home / "runs/a"
    assert sorted(p.name for p in run.iterdir()) == [
        ".fdl.json",
        "checkpoints",
        "config.json",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "mistakes.png",
        "novelty.safetensors",
        "result.json",
        "seen.safetensors",
        "weights.safetensors",
    ]
    config = json.loads((run / "config.json").read_text())
    assert (config["task"], config["dataset"]) == ("mlp", "mnist-5k")
    assert (config["epochs"], config["seed"], config["batch_size"]) == (2, 3, 32)
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(x["epoch"], x["step"]) for x in lines] == [(1, 105), (2, 210)]
    result = json.loads((run / "result.json").read_text())
    assert result["validation"] == lines[-1]["validation"]
    assert result["metrics"].keys() == result["validation"].keys()
    assert result["metrics"] != result["validation"], "metrics are of the test set"
    assert result["metrics"]["accuracy"] > 0.8
    assert (result["epochs"], result["epochs_trained"]) == (2, 2)
    assert result["parameters"] == 101_770
    counts = {"train": 3333, "validation": 667, "test": 1000}
    assert result["counts"] == counts
    novelty = result["novelty"]
    assert (novelty["false_alarm_rate"], novelty["held_out"]) == (0.01, 667)
    assert result["checksum"] == data.load("mnist-5k").info.checksum
    seconds = result["seconds"]
    spent = ["compile", "data", "finish", "import", "train", "validation"]
    assert sorted(seconds) == spent
    assert all(value > 0 for value in seconds.values())
    assert result["steps_per_second"] == pytest.approx(210 / seconds["train"])
    assert result["device"].startswith("cpu")
    assert {"python", "jax", "flax", "optax", "fdl"} <= result["versions"].keys()
    for name in ("curves.png", "confusion.png"):
        with Image.open(run / name) as picture:
            assert min(picture.size) > 400


def test_the_same_command_gives_the_same_weights(home) -> None:
    options = ("--dataset", "mnist-5k", "--epochs", 2, "--seed", 3)
    fdl("train", "mlp", *options, "--run", "runs/b", cwd=home)
    a, b = ((home / f"runs/{x}/weights.safetensors").read_bytes() for x in "ab")
    assert a == b


def test_eval_agrees_with_training(home) -> None:
    done = fdl("eval", "runs/a", cwd=home)
    result = json.loads((home / "runs/a/result.json").read_text())
    assert f"test accuracy {result['metrics']['accuracy']:.2%}" in done.stdout
    assert f"test loss     {result['metrics']['loss']:.4f}" in done.stdout


def test_a_run_is_summarized(home) -> None:
    lines = fdl("summary", "runs/a", cwd=home).stdout.splitlines()
    assert lines[1].split() == ["dense1", "Dense", "128", *["100,480"] * 2, "200,704"]


def test_predict_agrees_with_eval(home, sample) -> None:
    files = []
    for i, image in enumerate(sample.image[:60]):
        picture = image[..., 0] if i % 2 else 255 - image[..., 0]
        files.append(f"{i}.png")
        Image.fromarray(picture).save(home / files[-1])
    np.save(home / "all.npy", sample.image)
    done = fdl("predict", "runs/a", *files, "all.npy", "--json", cwd=home)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines[:60]] == files
    assert lines[60]["file"] == "all.npy[0]"
    for png, row in zip(lines[:60], lines[60:120], strict=True):
        assert png["class"] == row["class"]
        assert png["probabilities"] == row["probabilities"]
        assert sum(png["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert png["class"] == np.argmax(png["probabilities"])
    right = [r["class"] == y for r, y in zip(lines[60:], sample.label, strict=True)]
    result = json.loads((home / "runs/a/result.json").read_text())
    assert np.mean(right) == pytest.approx(result["metrics"]["accuracy"])


def test_predict_prints_a_table(home, sample) -> None:
    Image.fromarray(sample.image[0, ..., 0]).save(home / "one.png")
    draw = np.random.default_rng(0)
    np.save(home / "noise.npy", draw.integers(0, 256, (7, 28, 28)).astype(np.uint8))
    words = ("one.png", "noise.npy", "--polarity", "light-on-dark")
    done = fdl("predict", "runs/a", *words, cwd=home)
    assert "one.png" in done.stdout
    assert "%" in done.stdout
    warnings = done.stderr.splitlines()
    assert len(warnings) == 6
    assert warnings[0].startswith("warning: noise.npy[0] is unlike the images that")
    assert warnings[5] == "warning: so are 2 others."


@pytest.mark.parametrize(
    "command",
    [
        "",
        "train",
        "train cnn",
        "train language-model",
        "sweep gan",
        "eval",
        "predict",
        "generate",
        "export",
        "tasks",
        "data",
        "runs",
        "watch",
        "info",
    ],
)
def test_help_is_readable(command, capsys) -> None:
    with pytest.raises(SystemExit) as done:
        main([*command.split(), "--help"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "usage: fdl" in out
    assert "None" not in out.replace("`None`", "")
    assert not re.search(r"\d,[ │]*\n[ │]*\d{3}\b", out), "a number is split"


def test_examples_in_the_help_are_valid_for_every_task(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", "mlp", "--help"])
    text = re.sub(r"[│\s]+", "", capsys.readouterr().out)
    examples = re.findall(r"`([a-z-]+=[^`]+)`", text)
    ranges = [example for example in examples if ":" in example]
    assert len(ranges) == 2
    assert len(examples) == 3
    for task in tasks.DESCRIPTIONS.values():
        config = task.config(dataset="mnist-5k")
        assert len(read_ranges(config, ranges)) == 2
        assert read_grid(config, set(examples) - set(ranges))


def test_help_shows_the_defaults_of_a_task(capsys) -> None:
    for task, defaults in (
        (
            "transformer",
            (
                "8 for 60000 examples, 40 for 4000",
                "0.002 with one-cycle",
                "(default: 64)",
                "pre",
            ),
        ),
        ("language-model", ("(default: python-docs)", "(default: 15)")),
    ):
        with pytest.raises(SystemExit):
            main(["train", task, "--help"])
        text = " ".join(re.sub("│", " ", capsys.readouterr().out).split())
        for default in defaults:
            assert default in text


def test_one_task_is_described_in_detail(capsys) -> None:
    main(["tasks", "vae"])
    output = capsys.readouterr().out
    assert "Kingma & Welling, 2014" in output
    assert "--free-bits" in output
    assert "fdl train vae --schedule constant --validation none" in output
    main(["tasks"])
    table = capsys.readouterr().out
    assert len(table.splitlines()) < 40, "the table fits a screen"


def test_the_version_is_printed(capsys) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"fdl {version('fdl')}\n"


def test_lists(capsys) -> None:
    main(["tasks"])
    out = capsys.readouterr().out
    assert "cnn" in out
    assert "mlp" in out
    main(["data", "list"])
    out = capsys.readouterr().out
    for name in data.names():
        assert name in out


def test_copies_in_a_data_set_are_named(tmp_path, capsys) -> None:
    for part in ("train", "test"):
        for shade, name in enumerate("abcd"):
            (tmp_path / part / name).mkdir(parents=True)
            picture = Image.new("L", (8, 8), 60 * shade)
            picture.save(tmp_path / part / name / "0.png")
    with pytest.raises(SystemExit, match="1"):
        main(["data", "check", f"folder:{tmp_path}", "--copies"])
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"train/{x}/0.png = test/{x}/0.png" for x in "abcd"]
    named = ", ".join(f"test/{x}/0.png = train/{x}/0.png" for x in "abc")
    assert f"4 of the 4 test inputs are also in the train part: {named} and 1" in err


def test_overwrite_replaces_a_run(home) -> None:
    before = (home / "runs/a/config.json").read_bytes()
    small = ("--hidden-sizes", 4, "--batch-size", 1000, "--validation", "none")
    options = ("--dataset", "mnist-5k", *small, "--epochs", 1, "--run", "runs/c")
    fdl("train", "mlp", *options, cwd=home)
    fdl("train", "mlp", *options, "--seed", 1, "--overwrite", cwd=home)
    assert json.loads((home / "runs/c/config.json").read_text())["seed"] == 1
    assert len((home / "runs/c/metrics.jsonl").read_text().splitlines()) == 1
    assert (home / "runs/a/config.json").read_bytes() == before


def test_divergence_keeps_the_last_good_state(home) -> None:
    options = ("--dataset", "mnist-5k", "--epochs", 3, "--learning-rate", 1e38)
    done = fdl("train", "mlp", *options, "--run", "runs/nan", cwd=home, code=1)
    assert "not finite at step" in done.stderr.splitlines()[-1]
    assert (home / "runs/nan/weights.safetensors").is_file()
    assert not (home / "runs/nan/result.json").exists()
    done = fdl("eval", "runs/nan", cwd=home, code=1)
    assert "test accuracy" in done.stdout
    assert "loss of runs/nan is not finite" in done.stderr


def test_early_stopping_and_validation_are_options(tmp_path, capsys) -> None:
    options = ("--dataset", "mnist-5k", "--epochs", "9", "--learning-rate", "0.3")
    options += ("--hidden-sizes", "4", "--batch-size", "400")
    more = (
        "--validation",
        "0.1",
        "--early-stopping",
        "1",
        "--run",
        str(tmp_path / "a"),
    )
    main(["train", "mlp", *options, *more])
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert result["counts"]["validation"] == 400
    assert result["epochs"] == result["epochs_trained"] - 1 < 8
    message = f"kept epoch {result['epochs']} of {result['epochs_trained']}"
    assert message in capsys.readouterr().out


def test_examples_are_counted_in_the_data_dir(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(Train, "__call__", lambda self: seen.append(self))
    folder = Path(__file__).parents[1] / "data" / "tfrecord"
    main(["train", "mlp", "--dataset", "tfds:mnist", "--data-dir", str(folder)])
    assert seen[0].configuration().dataset == "tfds:mnist"
