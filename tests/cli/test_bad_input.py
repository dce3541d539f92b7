"""Bad input gets a one-line error message."""

import json
import re

import pytest
from shell import complaint

import fdl
from fdl.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "",
            "sweep, find-rate, compare, eval, predict, translate, generate, export",
        ),
        ("bogus", "there is no command 'bogus'; commands: train, sweep"),
        ("trian cnn", "no command 'trian'; did you mean 'train'?"),
        ("--bogus", "give a command before options such as --bogus"),
        ("train", "expected one of {cnn, lenet5"),
        ("train cnn --bogus 3", "there is no option --bogus"),
        ("train cnn --epochss 3", "no option --epochss; did you mean --epochs?"),
        ("train cnn --batch_sizes=3", "did you mean --batch-size?"),
        ("train cnn --epochs many", "--epochs: 'many' is not a whole number"),
        ("train cnn --epochs None", "--epochs: 'None' is not a whole number"),
        ("train cnn --learning-rate low", "--learning-rate: 'low' is not a number"),
        ("train cnn --seed", "--seed needs a value"),
        ("train alexnet --widths 8 8", "--widths needs 5 values"),
        ("train cnn mlp", "unexpected argument 'mlp'"),
        ("train --epochs 3", "give a task before options such as --epochs"),
        ("train nope", "there is no task 'nope'; tasks: cnn, lenet5"),
        ("train CN", "there is no task 'CN'; did you mean 'cnn'?"),
        ("tasks tarnsformer", "did you mean 'transformer'?"),
        ("train transformer --norm pro", "no choice 'pro'; did you mean 'pre'?"),
        ("train cnn --dataset cifar", "no dataset 'cifar'"),
        (
            "train cnn --dataset mnist-5k --size 64",
            "no options, but got size",
        ),
        ("train cnn --dataset fashion-MNIST", "did you mean 'fashion_mnist'?"),
        ("sweep mlp --grid drop-rate=0,1", "did you mean 'dropout-rate'?"),
        ("train --resume absent", "absent is not a run: there is no such folder"),
        (
            "train --resume absent --epochs 3",
            "no option --epochs: a resumed run keeps its settings",
        ),
        ("train mlp --hidden-sizes a", "--hidden-sizes does not take 'a'"),
        ("train mlp --resume absent", "unexpected argument 'mlp'"),
        ("train --resume", "--resume needs a value"),
        ("train cnn --schedule up", "no schedule 'up'; schedules: constant, one-cycle"),
        ("train cnn --epochs 0", "epochs=0"),
        (
            "train cnn --optimizer adamm",
            "no optimizer 'adamm'; did you mean 'adam'? optimizers: adam, adamw",
        ),
        ("train cnn --momentum 0.9", "'adam' takes no momentum"),
        ("train cnn --batch-size -1", "batch_size=-1"),
        ("train cnn --learning-rate 0", "learning_rate=0.0"),
        ("train cnn --learning-rate nan", "learning_rate=nan"),
        ("train cnn --seed -1", "seed=-1"),
        ("train mlp --dataset mnist-5k --batch-size 3334", "batch_size=3334"),
        ("train mlp --validation 1", "validation=1.0 must be in (0, 1), or None"),
        ("train mlp --validation some", "--validation"),
        (
            "train mlp --validation none --early-stopping 2",
            "no examples to choose the best",
        ),
        (
            "train mlp --dataset mnist-5k --early-stopping 0",
            "early_stopping=0 must be at least 1",
        ),
        ("train gan --dataset mnist-5k --early-stopping 2", "is measured at the end"),
        ("train mlp --data-dir absent", "absent"),
        ("eval", "RUN is missing"),
        ("eval absent", "absent is not a run"),
        ("predict absent x.png", "absent is not a run"),
        ("predict absent", "at least one"),
        ("data prepare nope", "nope"),
        ("data", "list, show, check, prepare"),
        ("data prepar", "did you mean 'prepare'?"),
    ],
)
def test_bad_input_gets_one_line(words, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in complaint(words.split(), capsys)
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train transformer --num-heads 0", "num_heads=0"),
        ("train transformer --num-heads 3", "num_heads=3 must divide features=64"),
        ("train transformer --features 0", "features=0"),
        ("train transformer --patch-size 0", "patch_size=0"),
        ("train language-model --features -1", "features=-1"),
        ("train text-classifier --dataset csv:a.csv --num-heads 0", "num_heads=0"),
        ("train transformer --num-layers 100000", "num_layers=100000"),
        ("train language-model --dropout-rate nan", "dropout_rate=nan"),
        ("train vae --latent-size 0", "latent_size=0"),
        ("train vae --latent-size -1", "latent_size=-1"),
        ("train vae --hidden-sizes 0", "hidden_sizes=(0,)"),
        ("train vae --beta inf", "beta=inf"),
        ("train vae --free-bits -1", "free_bits=-1"),
        ("train vae --samples 0", "samples=0"),
        ("train vae --samples 1000000000", "samples=1000000000"),
        ("train autoencoder --noise 1", "noise=1.0"),
        ("train mlp --hidden-sizes 64 -5", "hidden_sizes=(64, -5)"),
        ("train mlp --dropout-rate 1.5", "dropout_rate=1.5"),
        ("train mlp --dropout-rate -1", "dropout_rate=-1.0"),
        ("train regress --dropout-rate 1", "dropout_rate=1.0"),
        ("train cnn --features 32 0 64", "features=(32, 0, 64)"),
        ("train cnn --hidden-size 0", "hidden_size=0"),
        ("train gan --width -1", "width=-1"),
        ("train gan --ema-decay 1", "ema_decay=1.0"),
        ("train gan --discriminator-steps 0", "discriminator_steps=0"),
        ("train lstm --num-layers 100000", "num_layers=100000"),
        ("train lstm --hidden-size 100000", "GiB"),
        ("train lstm --hidden-size 10000000", "hidden_size=10000000"),
        ("train lstm --hidden-size 10000000000000000000000", "hidden_size=1"),
        (
            "train mlp --epochs 1000000000000",
            "updates, but at most 2,147,483,647 can be counted",
        ),
        ("train mlp --learning-rate inf", "learning_rate=inf"),
        ("train mlp --weight-decay nan", "weight_decay=nan"),
        ("train mlp --clip-norm -1", "clip_norm=-1.0"),
        ("train mlp --label-smoothing 1.5", "label_smoothing=1.5"),
        ("train mlp --ema 1", "ema=1.0"),
        ("train mlp --validation nan", "validation=nan"),
        (f"train mlp --seed {2**70}", "seed=1180591620717411303424"),
        ("find-rate mlp --low nan", "low=nan"),
        ("find-rate mlp --steps 1", "steps=1"),
        ("sweep mlp --grid dropout-rate=0,1.5", "dropout_rate=1.5"),
        ("sweep mlp --grid hidden-sizes=0", "hidden_sizes=(0,)"),
        ("watch runs/a --every nan", "every=nan"),
    ],
)
def test_options_are_refused_in_one_line(
    words, message, capsys, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = re.sub(" (mlp|lstm)", r" \1 --dataset mnist-5k", words).split()
    assert message in complaint(words, capsys)
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


def test_debug_leaves_the_error_to_python_which_shows_its_traceback() -> None:
    with pytest.raises(fdl.runs.RunError, match="absent is not a run"):
        main(["eval", "absent", "--debug"])


def test_a_classifier_cannot_generate(home, capsys, monkeypatch) -> None:
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
    config |= {"dataset": "mnist", "sha256": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    line = complaint(["eval", tmp_path, "--dataset", "mnist-5k"], capsys)
    assert "training images of mnist" in line
    main(["eval", str(tmp_path), "--data-dir", str(full_data_dir)])
    assert "on MNIST (10,000 examples)" in capsys.readouterr().out


def test_messages_of_several_lines_are_printed_whole(capsys, monkeypatch) -> None:
    def fail(path, **options):
        raise ValueError("first\n  second")

    monkeypatch.setattr(fdl.runs, "open_run", fail)
    with pytest.raises(SystemExit):
        main(["eval", "a"])
    assert capsys.readouterr().err == "fdl: first\n  second\n"


def test_commands_on_a_sweep_name_its_best_member(tmp_path, capsys) -> None:
    sweep = tmp_path / "sweep"
    (sweep / "best").mkdir(parents=True)
    (sweep / "config.json").write_text('{"sweep": {}}')
    for words in (
        "eval {}",
        "predict {} a.png",
        "generate {}",
        "export {} --to a.onnx",
    ):
        line = complaint(words.format(sweep).split(), capsys)
        assert f"{sweep} is a sweep, not a run; its best member is" in line
        assert str(sweep / "best") in line
