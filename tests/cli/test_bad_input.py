"""What the command line replies to bad input, in one line."""

import json

import pytest
from shell import complaint, process

from fdl.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "",
            "sweep, compare, eval, predict, generate, export, parity, tasks, data",
        ),
        ("bogus", "bogus"),
        ("train", "Expected one of {cnn, mlp"),
        ("train cnn --bogus 3", "--bogus"),
        ("train cnn --epochs many", "--epochs"),
        ("train nope", "nope Available subcommands: cnn, mlp"),
        ("train cnn --dataset cifar", "no dataset 'cifar'"),
        ("train cnn --schedule up", "no schedule 'up'; schedules: constant, one-cycle"),
        ("train cnn --epochs 0", "epochs=0"),
        (
            "train cnn --optimizer adamm",
            "no optimizer 'adamm'; optimizers: adam, adamw",
        ),
        ("train cnn --momentum 0.9", "'adam' takes no momentum"),
        ("train cnn --batch-size -1", "batch_size=-1"),
        ("train cnn --learning-rate 0", "learning_rate=0.0"),
        ("train cnn --learning-rate nan", "learning_rate=nan"),
        ("train cnn --seed -1", "seed=-1"),
        ("train mlp --dataset mnist-5k --batch-size 3334", "batch_size=3334"),
        ("train mlp --validation 1", "validation=1.0 must be above 0 and below 1"),
        ("train mlp --validation some", "--validation"),
        ("train mlp --validation none --patience 2", "no examples to choose the best"),
        ("train mlp --dataset mnist-5k --patience 0", "patience=0 must be at least 1"),
        ("train gan --dataset mnist-5k --patience 2", "is taken at the end"),
        ("train mlp --data-dir absent", "absent"),
        ("eval absent", "absent is not a run"),
        ("predict absent x.png", "absent is not a run"),
        ("predict absent", "at least one"),
        ("data prepare nope", "nope"),
        ("data", "list, prepare"),
    ],
)
def test_bad_input_gets_one_line(words, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in complaint(words.split(), capsys)
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_bad_files_get_one_line(home, capsys, monkeypatch) -> None:
    monkeypatch.chdir(home)
    (home / "text.png").write_text("text")
    assert "text.png" in complaint(["predict", "runs/a", "text.png"], capsys)
    assert "absent.png" in complaint(["predict", "runs/a", "absent.png"], capsys)
    assert "--overwrite" in complaint(
        ["train", "mlp", "--dataset", "mnist-5k", "--run", "runs/a"], capsys
    )


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"{", "is damaged"),
        ("config.json", b"{}", "lacks data, data_dir, task"),
        ("weights.safetensors", b"\x00" * 100, "cannot be read"),
    ],
)
def test_damaged_runs_get_one_line(
    home, tmp_path, capsys, file, content, message
) -> None:
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((home / "runs/a" / name).read_bytes())
    (tmp_path / file).write_bytes(content)
    assert message in complaint(["eval", tmp_path], capsys)


def test_debug_shows_the_traceback(home) -> None:
    done = process("eval", "absent", "--debug", cwd=home, code=1)
    assert "Traceback" in done.stderr
    assert "absent is not a run" in done.stderr


def test_only_what_generates_generates(home, capsys, monkeypatch) -> None:
    monkeypatch.chdir(home)
    line = complaint(["generate", "runs/a"], capsys)
    assert "task 'mlp' cannot generate; use `fdl predict`" in line
    assert not (home / "samples.png").exists()


@pytest.mark.full_mnist
def test_refuses_to_test_on_training_images(
    home, capsys, tmp_path, full_data_dir
) -> None:
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((home / "runs/a" / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "dataset": "mnist"}))
    line = complaint(["eval", tmp_path, "--dataset", "mnist-5k"], capsys)
    assert "training images of mnist" in line
    main(["eval", str(tmp_path), "--data-dir", str(full_data_dir)])
    assert "on mnist (10,000 examples)" in capsys.readouterr().out
