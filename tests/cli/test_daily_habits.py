"""`--config`, `fdl runs`, `fdl watch` and shell completion."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
from importlib import import_module

import pytest
from shell import fdl as run_fdl

import fdl
from fdl.runs import configure
from fdl.runs.lock import held
from fdl.tasks import Config

RECORD = {
    "task": "lstm",
    "dataset": "mnist-5k",
    "epochs": 2,
    "learning_rate": 0.01,
    "validation": None,
    "momentum": None,
    "options": {"hidden_size": 8, "bidirectional": True},
    "data_dir": None,
    "data": {"name": "mnist-5k"},
    "versions": {},
    "trained_on": ["mnist-5k"],
}
FROM_RECORD = {
    "dataset": "mnist-5k",
    "epochs": 2,
    "learning_rate": 0.01,
    "validation": None,
    "hidden_size": 8,
    "bidirectional": True,
}
FILES = {
    "a.toml": 'task = "mlp"\nepochs = 3\n[model]\nhidden-sizes = [64, 32]\n',
    "b.toml": "seed = 7\n",
    "tied.toml": "tied = false\n",
    "flags.toml": "bidirectional = true\nskip_bad = false\noverwrite = true\n",
    "flag.json": '{"task": "lstm", "bidirectional": false}',
    "one.toml": 'task = "lstm"\nbidirectional = 1\n',
    "typo.toml": "epoch = 3\n",
    "word.toml": 'epochs = "x"\n',
    "damaged.toml": "x = = 3\n",
    "list.json": "[3]",
    "config.json": json.dumps(RECORD),
}


@pytest.fixture
def files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "task", "settings"),
    [
        ("--config a.toml", "mlp", {"epochs": 3, "hidden_sizes": (64, 32)}),
        ("mlp --config b.toml", "mlp", {"seed": 7}),
        ("mlp --epochs 5 --config=a.toml", "mlp", {"epochs": 5}),
        ("language-model --config tied.toml", "language-model", {"tied": False}),
        ("language-model --config tied.toml --tied", "language-model", {"tied": True}),
        ("lstm --config flags.toml", "lstm", {"bidirectional": True}),
        ("lstm --config flags.toml --no-bidirectional", "lstm", {}),
        ("--config flag.json", "lstm", {}),
        ("--config flag.json --bidirectional", "lstm", {"bidirectional": True}),
        ("--config config.json", "lstm", FROM_RECORD),
        (
            "--config config.json --no-bidirectional",
            "lstm",
            FROM_RECORD | {"bidirectional": False},
        ),
    ],
)
def test_options_override_a_config_file(
    files, monkeypatch, words, task, settings
) -> None:
    seen = []

    def train(task, **given):
        names = {field.name for field in dataclasses.fields(Config)}
        own = {name: value for name, value in given.items() if name in names}
        seen.append(configure(task, **own))
        raise ValueError("enough")

    monkeypatch.setattr(fdl.runs, "train", train)
    run_fdl("train", *words.split(), cwd=files, code=2)
    more = {"hidden_sizes": (64, 32)} if "a.toml" in words else {}
    assert seen == [configure(task, **more | settings)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cnn --config a.toml", "a.toml is for task 'mlp', not for 'cnn'"),
        ("--config b.toml", "b.toml does not name a task"),
        ("mlp --config typo.toml", "no setting 'epoch'; did you mean 'epochs'?"),
        ("mlp --config word.toml", "--epochs: 'x' is not a whole number"),
        ("--config one.toml", "one.toml: bidirectional = 1 must be true or false"),
        ("mlp --config damaged.toml", "damaged.toml cannot be read: Invalid value"),
        ("mlp --config list.json", "list.json does not contain settings"),
        ("mlp --config absent.toml", "absent.toml cannot be read: No such file"),
        ("mlp --config", "--config needs a value"),
    ],
)
def test_a_bad_config_file_gets_one_line(files, words, message) -> None:
    for command in ("train", "sweep"):
        done = run_fdl(command, *words.split(), cwd=files, code=2)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.fixture
def runs(tmp_path):
    """A folder `runs`: finished, interrupted and damaged runs, and two sweeps."""
    folder = tmp_path / "runs"
    about = {
        "task": "mlp",
        "dataset": "mnist-5k",
        "epochs": 2,
        "metric": "accuracy",
        "mode": "max",
    }
    lines = [
        json.dumps(
            {
                "epoch": epoch,
                "step": 9 * epoch,
                "train": {"loss": 1 / epoch, "accuracy": 0.8},
                "validation": {"loss": 1.5 / epoch, "accuracy": 0.7},
                "seconds": 2.5,
            }
        )
        for epoch in (1, 2)
    ]
    content = {
        "ended/config.json": json.dumps(about),
        "ended/metrics.jsonl": "\n".join([*lines, ""]),
        "ended/result.json": json.dumps({"metrics": {"accuracy": 0.75}}),
        "deep/cut/config.json": json.dumps(about),
        "deep/cut/metrics.jsonl": "\n".join([lines[0], lines[1][:20]]),
        "sweep/config.json": json.dumps({**about, "task": "lstm", "sweep": {}}),
        "sweep/result.json": json.dumps(
            {"best": {"test": {"accuracy": 0.5}}, "epochs_trained": 6}
        ),
        "seeds/config.json": json.dumps({**about, "sweep": {}}),
        "seeds/result.json": json.dumps(
            {
                "best": None,
                "configurations": [{"test": {"mean": 0.25}}],
                "epochs_trained": 4,
            }
        ),
        "damaged/config.json": json.dumps(about),
        "damaged/result.json": "{",
        "sweep/best/config.json": json.dumps(about),
        "other/a/config.json": "{",
        "other/b/config.json": "[]",
        "other/c/config.json": "{}",
    }
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _names(runs, *options: str) -> list[str]:
    done = run_fdl("runs", *options, "--json", cwd=runs.parent)
    return [line["path"] for line in json.loads(done.stdout)]


def test_runs_are_listed_as_a_table_and_as_json(runs, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = json.loads(run_fdl("runs", "--json", cwd=runs.parent).stdout)
    found = {
        line["path"]: (line["status"], line["epochs"], line["value"]) for line in lines
    }
    assert found == {
        "runs/ended": ("done", 2, 0.75),
        "runs/deep/cut": ("cut off", 1, 0.7),
        "runs/sweep": ("sweep", 6, 0.5),
        "runs/seeds": ("sweep", 4, 0.25),
        "runs/damaged": ("damaged", 0, None),
    }
    long = (
        runs
        / "a path that is longer than a line"
        / "of a terminal, as wide as tables must be"
    )
    long.parent.mkdir()
    (runs / "ended").rename(long)
    table = run_fdl("runs", cwd=runs.parent).stdout.splitlines()
    cells = [" ".join(line.split()) for line in table]
    assert any("mlp mnist-5k accuracy 70.00% 1 cut off 20" in row for row in cells)
    assert any("lstm mnist-5k accuracy 50.00% 6 sweep 20" in row for row in cells)
    assert any(line.endswith(str(long.relative_to(runs.parent))) for line in table)


def test_runs_are_filtered_and_sorted(runs) -> None:
    assert _names(runs, "--task", "lstm") == ["runs/sweep"]
    assert _names(runs, "--dataset", "mnist") == []
    by_metric = _names(runs, "--sort", "metric")
    assert by_metric == [
        f"runs/{x}" for x in ("ended", "deep/cut", "sweep", "seeds", "damaged")
    ]
    assert _names(runs, "runs/deep") == ["runs/deep/cut"]
    assert "no such runs" in run_fdl("runs", "--task", "gan", cwd=runs.parent).stdout


def test_a_finished_or_interrupted_run_is_drawn_once(runs) -> None:
    ended = run_fdl("watch", "runs/ended", cwd=runs.parent).stdout
    assert "epoch 2 of 2, done, test accuracy 75.00%" in ended
    assert "accuracy  ━ train  ━ validation" in ended
    assert ended.index("accuracy  ━") < ended.index("loss  ━")
    cut = run_fdl("watch", "runs/deep/cut", cwd=runs.parent).stdout
    assert "epoch 1 of 2, cut off: fdl train --resume runs/deep/cut" in cut


def test_a_run_is_watched_until_it_ends(runs) -> None:
    run, result = runs / "deep/cut", (runs / "ended/result.json").read_text()

    def train() -> None:
        lines = (runs / "ended/metrics.jsonl").read_text()
        with held(run):
            begun.set()
            seen.wait(20)
            (run / "metrics.jsonl").write_text(lines)
            (run / "result.json").write_text(result)

    begun, seen = threading.Event(), threading.Event()
    thread = threading.Thread(target=train)
    thread.start()
    assert begun.wait(20)
    found = json.loads(run_fdl("runs", "runs/deep", "--json", cwd=runs.parent).stdout)
    assert found[0]["status"] == "training"
    threading.Timer(0.3, seen.set).start()
    watched = run_fdl("watch", "runs/deep/cut", "--every", 0.1, cwd=runs.parent).stdout
    thread.join()
    assert "epoch 2 of 2, done, test accuracy" in watched


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("runs absent", "absent is not a folder"),
        ("watch absent", "absent is not a run"),
        ("watch runs/sweep", "runs/sweep is a sweep"),
        ("watch runs/other/c", "damaged, or of another version"),
        ("watch runs/damaged", "damaged, or of another version"),
        ("watch runs/ended --every 0", "every=0.0 must be above 0"),
    ],
)
def test_bad_folders_and_intervals_get_one_line(words, message, runs) -> None:
    done = run_fdl(*words.split(), cwd=runs.parent, code=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_bash_completes_words(tmp_path) -> None:
    # In a process of its own, to see that a shell does not wait for JAX.
    program = """
import sys
from fdl.cli import main
main(["--tyro-print-completion", "bash"])
assert "jax" not in sys.modules
"""
    with (tmp_path / "fdl.bash").open("w") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
    script = (
        'source fdl.bash; f=$(complete -p fdl | sed "s/.*-F //; s/ .*//"); '
        'COMP_WORDS=({}); COMP_CWORD={}; $f fdl "{}"; echo "${{COMPREPLY[@]}}"'
    )
    for words, completed in (
        ("fdl trai", "train"),
        ("fdl train transf", "transformer"),
        ("fdl train cnn --epo", "--epochs"),
    ):
        last = words.split()[-1]
        found = subprocess.run(
            ["bash", "-c", script.format(words, words.count(" "), last)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.split() == [completed]


def test_fish_completes_words(tmp_path, monkeypatch) -> None:
    # Of two commands, since the script of all takes seconds to write.
    commands = import_module("fdl.cli.main")
    few = {name: commands._COMMANDS[name] for name in ("runs", "tasks")}
    monkeypatch.setattr(commands, "_COMMANDS", few)
    script = tmp_path / "completions" / "fdl.fish"
    run_fdl("--tyro-write-completion", "fish", script, cwd=tmp_path)
    # The code is passed to Python by a pipe: it is too long for an argument.
    assert '-c "$pycode"' not in script.read_text()
    assert '(printf "%s" "$pycode" | $python_cmd - $words' in script.read_text()
    for words in (["tcsh"], ["bash", "x"], []):
        done = run_fdl("--tyro-print-completion", *words, cwd=tmp_path, code=2)
        assert "needs one of bash, zsh, fish" in done.stderr
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed: its script was read, but not run")
    found = subprocess.run(
        ["fish", "-c", f"source {script}; complete -C 'fdl runs --so'"],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith("--sort\t")
