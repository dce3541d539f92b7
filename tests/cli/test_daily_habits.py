"""`--config`, `fdl runs`, `fdl watch`, and what completes words in a shell."""

import json
import subprocess
import threading
import time

import pytest
from shell import fdl

from fdl.cli import main
from fdl.cli.train import Train
from fdl.runs import configure

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
        ("--config config.json", "lstm", FROM_RECORD),
    ],
)
def test_a_file_has_settings_and_words_count_more(
    files, monkeypatch, words, task, settings
) -> None:
    seen = []

    def train(self) -> None:
        seen.append(self.configuration())

    monkeypatch.setattr(Train, "__call__", train)
    fdl("train", *words.split(), cwd=files)
    more = {"hidden_sizes": (64, 32)} if "a.toml" in words else {}
    assert seen == [configure(task, **more | settings)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cnn --config a.toml", "a.toml is of task 'mlp', not of 'cnn'"),
        ("--config b.toml", "b.toml names no task"),
        ("mlp --config typo.toml", "no setting 'epoch'; did you mean 'epochs'?"),
        ("mlp --config word.toml", "--epochs: 'x' is not a whole number"),
        ("mlp --config damaged.toml", "damaged.toml cannot be read: Invalid value"),
        ("mlp --config list.json", "list.json holds no settings"),
        ("mlp --config absent.toml", "absent.toml cannot be read: No such file"),
        ("mlp --config", "--config needs a value"),
    ],
)
def test_a_bad_file_gets_one_line(files, words, message) -> None:
    for command in ("train", "sweep"):
        done = fdl(command, *words.split(), cwd=files, code=2)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def write(folder, log=(), result=None, **config) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    lines = [json.dumps({"train": {"loss": x}, "validation": {}}) for x in log]
    (folder / "metrics.jsonl").write_text("".join(f"{x}\n" for x in lines) + '{"tor')
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))


def test_runs_are_listed(home, tmp_path) -> None:
    small = {"task": "mlp", "dataset": "mnist-5k"}
    best = {"best": {"test": {"accuracy": 0.75}}, "epochs_trained": 4}
    write(tmp_path / "all/cut", (2.0, 1.0), **small)
    write(tmp_path / "all/more/s", sweep={}, result=best, **small)
    write(tmp_path / "all/more/s/best", result={"metrics": {}}, **small)
    (tmp_path / "all" / "a").symlink_to(home / "runs" / "a")
    done = fdl("runs", "all", "--json", cwd=tmp_path)
    rows = {row["path"]: row for row in json.loads(done.stdout)}
    assert rows.keys() == {"all/a", "all/cut", "all/more/s"}
    assert [row["status"] for _, row in sorted(rows.items())] == [
        "done",
        "not done",
        "sweep",
    ]
    assert [row["epochs"] for _, row in sorted(rows.items())] == [2, 2, 4]
    result = json.loads((home / "runs/a/result.json").read_text())
    assert rows["all/a"]["value"] == result["metrics"]["accuracy"]
    assert rows["all/cut"]["value"] is None
    table = fdl("runs", "all", cwd=tmp_path).stdout
    assert "75.00%" in table
    assert list(rows)[-1] in table
    done = fdl("runs", "absent", cwd=tmp_path, code=2)
    assert "absent is not a folder" in done.stderr


def test_a_run_is_watched_until_it_ends(home, tmp_path, capsys) -> None:
    folder = tmp_path / "run"
    write(folder, (2.0, 1.0), epochs=3)

    def end() -> None:
        time.sleep(0.2)
        (folder / "result.json").write_text("{}")

    ending = threading.Thread(target=end)
    ending.start()
    main(["watch", str(folder), "--every", "0.02"])
    assert not ending.is_alive()
    shown = capsys.readouterr().out
    assert "epoch 2 of 3" in shown
    assert "█▁" in shown
    main(["watch", str(home / "runs/a")])
    assert "validation accuracy" in capsys.readouterr().out
    done = fdl("watch", "absent", cwd=tmp_path, code=2)
    assert "absent is not a run" in done.stderr


def test_a_shell_completes_words(tmp_path) -> None:
    done = fdl("--tyro-print-completion", "bash", cwd=tmp_path)
    (tmp_path / "fdl.bash").write_text(done.stdout)
    ask = (
        'source fdl.bash; f=$(complete -p fdl | sed "s/.*-F //; s/ .*//"); '
        'COMP_WORDS=({}); COMP_CWORD={}; $f fdl "{}"; echo "${{COMPREPLY[@]}}"'
    )
    for words, completed in (
        ("fdl tr", "train"),
        ("fdl train tran", "transformer"),
        ("fdl train cnn --epo", "--epochs"),
    ):
        last = words.split()[-1]
        found = subprocess.run(
            ["bash", "-c", ask.format(words, words.count(" "), last)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.split() == [completed]
