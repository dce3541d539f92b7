"""Loggers of a run: any object with three methods, TensorBoard, Weights & Biases."""

import json
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from small import few

from fdl import data
from fdl.learner import State
from fdl.runs import WeightsAndBiases, train
from fdl.runs.loggers import Listeners
from fdl.train import Epoch

SMALL = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 20}


@pytest.fixture(scope="module", autouse=True)
def _few_digits():
    """Train on a few digits."""
    with pytest.MonkeyPatch.context() as patch:
        digits = few(60)
        patch.setattr(data, "load", lambda name, **options: digits)
        yield


class Recorder:
    """A logger that records its calls."""

    def __init__(self):
        self.calls = []

    def start(self, path, config):
        self.calls.append(("start", path, config["task"]))

    def epoch(self, line, state, pictures):
        assert int(state.step) == line.step
        self.calls.append(("epoch", line.epoch, sorted(pictures)))

    def end(self, result, pictures):
        self.calls.append(("end", result and result["epochs"], sorted(pictures)))


def test_loggers_are_called_at_the_start_each_epoch_and_the_end(tmp_path) -> None:
    one, other = Recorder(), Recorder()
    run = train("mlp", **SMALL, path=tmp_path / "a", loggers=[one, other])
    assert one.calls == [
        ("start", run.path, "mlp"),
        ("epoch", 1, []),
        ("epoch", 2, []),
        ("end", 2, ["confusion", "curves", "mistakes"]),
    ]
    assert other.calls == one.calls
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_a_picture_is_logged_only_when_it_is_new(tmp_path) -> None:
    recorder = Recorder()
    listeners = Listeners([recorder], tmp_path)
    line = Epoch(1, 1, True, {}, {}, 0.1)
    state = State(np.int32(1), {}, jax.random.key(0))
    (tmp_path / "a.png").write_text("")
    listeners.epoch(line, state)
    listeners.epoch(line, state)
    assert recorder.calls == [("epoch", 1, ["a"]), ("epoch", 1, [])]


def test_loggers_are_called_at_the_end_of_an_interrupted_run(tmp_path) -> None:
    recorder = Recorder()

    def cut_off(line, state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("mlp", **SMALL, path=tmp_path, loggers=[recorder], on_epoch=cut_off)
    assert [call[:2] for call in recorder.calls] == [("start", tmp_path), ("end", None)]


def test_on_epoch_ends_training_by_returning_true(tmp_path) -> None:
    run = train("mlp", **SMALL, path=tmp_path / "a", on_epoch=lambda line, state: True)
    assert [line.epoch for line in run.history] == [1]
    assert run.result["epochs"] == 1
    seen = []
    listen = lambda line, state: seen.append(line) or 1
    assert len(train("mlp", **SMALL, path=tmp_path / "b", on_epoch=listen).history) == 2


def test_tensorboard_receives_scalars_pictures_and_histograms(tmp_path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    run = train("mlp", **SMALL, path=tmp_path / "a", loggers=["tensorboard"])
    (file,) = (run.path / "tensorboard").iterdir()
    content, place, found = file.read_bytes(), 0, {}
    while place < len(content):  # TFRecord: length, its checksum, content, its checksum
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        place += 16 + length
        for value in event.summary.value:
            found[value.tag, event.step] = value
    assert found["validation/accuracy", 2].simple_value == pytest.approx(
        run.history[-1].validation["accuracy"]
    )
    assert found["test/loss", 2].simple_value == pytest.approx(run.metrics["loss"])
    histogram = found["params/head/kernel", 2].histo
    assert histogram.num == 1280
    assert histogram.max == pytest.approx(run.state.params["head"]["kernel"].max())
    assert found["confusion", 2].image.encoded_image_string[:4] == b"\x89PNG"
    assert any(tag.startswith("config") for tag, _ in found)


class FakeWandb:
    """The part of wandb that fdl uses."""

    def __init__(self):
        self.logged, self.summary = [], {}

    def init(self, **options):
        self.options = options
        return self

    def log(self, values, step=None):
        self.logged.append((step, values))

    def finish(self, exit_code):
        self.exit_code = exit_code

    def Histogram(self, x):
        return ("histogram", x.shape)

    def Image(self, file):
        return ("image", file)


def test_weights_and_biases_receives_scalars_pictures_and_histograms(
    tmp_path, monkeypatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WeightsAndBiases(project="mine")
    run = train("mlp", **SMALL, path=tmp_path / "a", loggers=[logger])
    assert fake.options["project"] == "mine"
    assert fake.options["config"]["batch_size"] == 20
    step, values = fake.logged[1]
    assert step == 2
    assert values["train/loss"] == run.history[1].train["loss"]
    assert values["params/head/kernel"] == ("histogram", (128, 10))
    assert sorted(fake.logged[2][1]) == ["confusion", "curves", "mistakes"]
    assert fake.summary["test/accuracy"] == run.metrics["accuracy"]
    assert fake.exit_code == 0


def test_missing_and_unknown_loggers_are_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for name, message in (
        ("tensorboard", r"tensorboardX is missing: pip install 'fdl\[tensorboard\]'"),
        ("tb", "logger='tb' must be one of tensorboard, wandb"),
    ):
        with pytest.raises(ValueError, match=message):
            train("mlp", **SMALL, path=tmp_path / "a", loggers=[name])
    assert not (tmp_path / "a").exists()


@pytest.mark.filterwarnings("ignore")  # warnings of other packages
def test_weights_and_biases_writes_an_offline_run(tmp_path, monkeypatch) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    for name, value in {"MODE": "offline", "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    params = {"head": {"kernel": np.ones((3, 2), np.float32)}}
    state = State(np.int32(0), params, jax.random.key(0))
    picture = tmp_path / "curves.png"
    Image.new("L", (8, 8)).save(picture)
    logger = WeightsAndBiases(project="mine")
    logger.start(tmp_path, {"task": "mlp", "options": {"hidden_sizes": [8]}})
    for epoch in (1, 2):
        line = Epoch(epoch, 5 * epoch, True, {"loss": 1 / epoch}, {"loss": 0.5}, 0.1)
        logger.epoch(line, state, {"curves": picture} if epoch == 2 else {})
    logger.end({"metrics": {"accuracy": 0.75}}, {})
    assert wandb.run is None, "the run of wandb is finished"

    (folder,) = tmp_path.glob("wandb/offline-run-*")
    (file,) = folder.glob("run-*.wandb")
    content = file.read_bytes()  # records, whose texts are not compressed
    for name in ("mine", "train/loss", "validation/loss", "params/head/kernel"):
        assert name.encode() in content
    assert content.count(b"train/loss") >= 2
    assert b"test/accuracy" in content
    assert b"0.75" in content
    (kept,) = folder.glob("files/media/images/curves*.png")
    assert kept.read_bytes() == picture.read_bytes()
