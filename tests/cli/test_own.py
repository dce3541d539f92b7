"""User-defined models and tasks, from modules named by the caller."""

import dataclasses
import json
import sys
from functools import partial

import jax
import numpy as np
import pytest
from shell import complaint

import fdl
from fdl import tasks
from fdl.cli import main

MODULE = """
import dataclasses
import flax.linen as nn
from flax import nnx
import fdl
from fdl.tasks import Task, find

class Net(nn.Module):
    num_classes: int
    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        return nn.Dense(self.num_classes)(nn.relu(nn.Dense(4)(x)))

class NNX(nnx.Module):
    def __init__(self, num_classes, *, rngs):
        self.hidden = nnx.Linear(784, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, num_classes, rngs=rngs)
    def __call__(self, x):
        x = self.norm(self.hidden(x.reshape(len(x), -1)))
        return self.head(self.drop(x))

def make_model(num_classes):
    return Net(num_classes)

net = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(10)])
few = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(7)])
blind = nn.Sequential([nn.Conv(4, (3, 3)), nn.Dense(10)])
line = nn.Dense(1)
make_line = lambda: line
number = 7
plain = lambda classes: Net(classes)
wrong = lambda num_classes: num_classes
class Fails:
    def __init__(self, num_classes):
        raise KeyError("lost")

task = dataclasses.replace(
    find("classify"), name="mine", title="model of mine", finish=lambda *run: {}
)
another = find("mlp")
"""
SETTINGS = ("--dataset", "mnist-5k", "--epochs", "1", "--batch-size", "303")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with the user's modules."""
    (tmp_path / "mymodule.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("mymodule", "broken", "leaves"):
        sys.modules.pop(name, None)


def test_a_users_task_and_model_are_named_again_to_open_the_run(here, capsys) -> None:
    task, model = ["--task", "mymodule:task"], ["--model", "mymodule:make_model"]
    main(["train", *task, *model, *SETTINGS, "--run", "a"])
    about = json.loads((here / "a/config.json").read_text())
    assert (about["task"], about["options"]["model"]) == ("mine", "mymodule:make_model")
    images = fdl.data.load("mnist-5k").test.image[:3]
    np.save("some.npy", images)
    capsys.readouterr()

    del sys.modules["mymodule"]
    to = ["--to", "a.keras"]
    for words in (["eval", "a"], ["predict", "a", "some.npy"], ["export", "a", *to]):
        line = complaint(words, capsys)
        assert "there is no task 'mine'" in line
        assert "--task MODULE:NAME" in line
    assert "mymodule" not in sys.modules
    for words in (["eval", "a"], ["predict", "a", "some.npy"], ["export", "a", *to]):
        line = complaint([*words, *task], capsys)
        assert "'mymodule:make_model', and fdl never imports" in line
        assert "--model mymodule:make_model" in line
        line = complaint([*words, *task, "--model", "mymodule:Net"], capsys)
        assert "model 'mymodule:make_model', not 'mymodule:Net'" in line
    main(["predict", "a", "some.npy", "--json", *task, *model])
    predicted = [json.loads(x)["class"] for x in capsys.readouterr().out.splitlines()]

    import mymodule

    run = fdl.load("a", model=mymodule.make_model, task=mymodule.task)
    assert run.predict(images).argmax(axis=-1).tolist() == predicted
    with pytest.raises(ValueError, match="not 'mymodule:Net'"):
        fdl.load("a", model=mymodule.Net, task="mymodule:task")
    with pytest.raises(ValueError, match="the run is of task 'mine', not 'mlp'"):
        fdl.load("a", task="mymodule:another")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "trains your own model: name it with --model my_module:make_model"),
        ("mymodule", "'mymodule' does not have the form MODULE:NAME"),
        ("my module:x", "does not have the form"),
        ("mymodule:lost", "mymodule has no lost"),
        ("absent:x", "absent cannot be imported: ModuleNotFoundError"),
        ("broken:x", "broken cannot be imported: ModuleNotFoundError"),
        ("leaves:x", "leaves cannot be imported: SystemExit"),
        ("mymodule:number", "is an object of type int"),
        ("mymodule:plain", "does not take num_classes"),
        ("mymodule:wrong", "returned an object of type int, not a Linen module"),
        ("mymodule:Fails", "(num_classes=10) failed: KeyError"),
        ("mymodule:few", "returns shape [1, 7] for a batch of one"),
        ("mymodule:blind", "returns shape [1, 28, 28, 10]"),
    ],
)
def test_a_bad_model_gets_one_line(here, capsys, model, words) -> None:
    command = ["train", "classify", *SETTINGS, "--run", "a"]
    if model:
        command += ["--model", model]
    with pytest.raises(SystemExit) as done:
        main(command)
    assert done.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (here / "a").exists()


def test_a_users_model_is_trained_for_regression(here, capsys) -> None:
    rows = [f"{n},{n % 7},{3 * n}" for n in range(60)]
    (here / "t.csv").write_text("\n".join(["a,b,c", *rows]))
    line = ["--dataset", "csv:t.csv", "--target", "c", "--epochs", "8"]
    line += ["--learning-rate", "0.3"]
    main(["train", "regress", "--model", "mymodule:line", *line, "--run", "line"])
    capsys.readouterr()
    main(["eval", "line", "--model", "mymodule:line"])
    assert "test r2_score" in capsys.readouterr().out
    run = fdl.load("line", model="mymodule:line")
    for name in ("mymodule:make_line", "mymodule:Net"):  # without num_classes, and with
        task = tasks.with_model(tasks.find("regress"), name)
        tasks.outline(task, task.config(dataset=run.config.dataset), run.info)
    assert set(run.state.params) == {"kernel", "bias"}
    assert run.metrics["r2_score"] > 0.9
    for words, message in (
        (["eval", "line"], "the run's is 'mymodule:line', and fdl never imports"),
        (
            ["train", "regress", "--model", "mymodule:few", *line, "--run", "x"],
            "returns shape [1, 7] for a batch of one, but csv:",
        ),
        (
            [
                *("train", "regress", "--model", "mymodule:line", *line),
                *("--hidden-sizes", "8", "--run", "x"),
            ],
            "hidden_sizes=(8,) is for the default model of task 'regress'",
        ),
    ):
        assert message in complaint(words, capsys)
    assert not (here / "x").exists()


def test_a_task_with_its_own_model_takes_no_other(here) -> None:
    with pytest.raises(ValueError, match="task 'mlp' has its own model"):
        fdl.runs.train("mlp", model="mymodule:net", dataset="mnist-5k")


def test_nnx_modules_are_trained_with_batch_statistics_and_dropout(here) -> None:
    task = tasks.with_model(tasks.find("classify"), "mymodule:NNX")
    info = fdl.data.load("mnist-5k").info
    trained = tasks.outline(task, task.config(dataset="mnist-5k"), info)
    learner, state = trained.learner, tasks.draw_state(trained)
    rng = np.random.default_rng(0)
    batch = fdl.Batch(
        rng.integers(0, 256, (20, 28, 28, 1)).astype(np.uint8), np.arange(20) % 10
    )
    after, _ = jax.jit(learner.step)(state, batch)
    changed = jax.jit(partial(jax.tree.map, lambda x, y: (x != y).any()))(state, after)
    assert all(jax.tree.leaves(changed.params))
    assert all(jax.tree.leaves(changed.model_state["batch_stats"]))
    # Predictions use no dropout, and each is independent of the rest of its batch.
    predict = jax.jit(learner.predict)
    some, answers = predict(after, batch.image[:5]), predict(after, batch.image)
    np.testing.assert_allclose(np.asarray(answers)[:5], some, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task"], "--task needs MODULE:NAME"),
        (
            ["--task", "mymodule:number"],
            "is an object of type int, not an fdl.tasks.Task",
        ),
        (["--task", "absent:task"], "absent cannot be imported"),
        (["--task", "mymodule:task", "--bogus"], "bogus"),
    ],
)
def test_a_bad_task_is_refused(here, capsys, words, message) -> None:
    with pytest.raises(SystemExit) as done:
        main(["train", *words])
    assert done.value.code == 2
    assert message in capsys.readouterr().err


def test_other_packages_add_tasks(here, monkeypatch) -> None:
    about = here / "other-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0")
    entries = "[fdl.tasks]\nmine = mymodule:task\nyours = mymodule:task\ncnn = no:no"
    (about / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(str(here))
    assert tasks.names()[-2:] == ("mine", "yours")
    assert tasks.find("mine").title == "model of mine"
    assert tasks.find("cnn") is tasks.TASKS["cnn"]
    with pytest.raises(ValueError, match="named 'mine': give both the same name"):
        tasks.find("yours")
    assert fdl.runs.configure("mine", epochs=2).task == "mine"
    with pytest.warns(UserWarning, match="task 'yours' is left out"):
        found = tasks.known()
    assert [task.name for task in found] == [*tasks.TASKS, "mine"]


def test_a_task_must_not_take_the_name_of_one_in_fdl(here) -> None:
    mine = dataclasses.replace(tasks.find("mlp"), name="cnn")
    with pytest.raises(ValueError, match="fdl has a task 'cnn' already"):
        fdl.runs.train(mine, dataset="mnist-5k")
