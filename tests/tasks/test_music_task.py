"""The `music` task: its metrics, its baseline, and the pieces that it generates."""

import dataclasses

import jax
import numpy as np
import pytest

import closeness
import fdl
from fdl import tasks
from fdl.cli.main import main
from fdl.data.music import KEY_NAMES, KEYS, MUSIC, as_pieces
from fdl.data.own import Part
from fdl.tasks.music import baseline, nats
from fdl.tasks.sequence_options import MusicOptions

RNG = np.random.default_rng(0)
CHORDS = np.zeros((2, KEYS), np.uint8)
CHORDS[0, [30, 34, 37]] = CHORDS[1, [32, 35, 39]] = 1


def trills(count):
    """Return pieces of 9 to 20 frames that alternate two chords, in either order."""
    repeated = np.concatenate([CHORDS] * 12)
    starts, lengths = RNG.integers(2, size=count), RNG.integers(9, 21, size=count)
    return [repeated[a : a + n] for a, n in zip(starts, lengths, strict=True)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    parts = {
        name: Part(trills(count), np.zeros(count, np.int32))
        for name, count in (("train", 48), ("validation", 4), ("test", 6))
    }
    source = MUSIC["jsb"]
    archive = source.archive._replace(files=(), read=lambda files: (parts, KEY_NAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MUSIC, "jsb", dataclasses.replace(source, archive=archive))
        patch.setattr("fdl.data.archived.fetch", lambda archive: {})
        yield fdl.runs.train(
            "music",
            path=folder / "run",
            epochs=8,
            batch_size=8,
            learning_rate=0.05,
            options=MusicOptions(hidden_size=24, length=12, dropout_rate=0.0),
        )


def test_a_run_learns_and_reports_the_baseline_of_independent_keys(run) -> None:
    assert run.metrics["nats_per_frame"] < 1
    assert 0 < run.metrics["baseline_nats_per_frame"] < 1
    written = {file.name for file in run.path.iterdir()}
    assert {"piano-roll.png", "piece.mid", "continued.mid"} <= written
    assert run.evaluate()["loss"] == pytest.approx(run.metrics["nats_per_frame"])


def test_pieces_of_another_length_can_be_evaluated(run, monkeypatch) -> None:
    rolls = {"train": trills(2), "validation": trills(2), "test": [CHORDS[[0, 1] * 40]]}
    parts = {name: Part(each, np.zeros(len(each))) for name, each in rolls.items()}
    other = MUSIC["nottingham"]
    archive = other.archive._replace(files=(), read=lambda files: (parts, KEY_NAMES))
    monkeypatch.setitem(
        MUSIC, "nottingham", dataclasses.replace(other, archive=archive)
    )
    found = run.dataset("nottingham")
    assert found.test.inputs.shape == (1, 79, KEYS)
    assert run.evaluate(found.test)["nats_per_frame"] < 1


def test_generation_continues_a_midi_file(run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    fdl.data.write_midi("given.mid", CHORDS)
    sampling = ["--length", "9", "--temperature", "0", "--prompt", "given.mid"]
    main(["generate", str(run.path), "--count", "2", "--to", "a.png", *sampling])
    assert "written to a.png and a-1.mid, ... (2)" in capsys.readouterr().out
    for name in ("a-1.mid", "a-2.mid"):
        played = fdl.data.read_midi(tmp_path / name)
        np.testing.assert_array_equal(played, np.concatenate([CHORDS] * 6)[:11])
    with pytest.raises(SystemExit):
        main(["generate", str(run.path), "--to", "a.png"])
    assert "a.png already exists" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["generate", str(run.path), "--to", "none/a.png"])
    assert "none is not a folder: create it first" in capsys.readouterr().err
    (piece,) = run.generate(3, tasks.Sampling(length=5))
    assert piece.shape == (5, KEYS)
    with pytest.raises(ValueError, match=r"top_p=0\.5 does nothing for music: leave"):
        run.generate(3, tasks.Sampling(top_p=0.5))


def test_padding_affects_neither_the_loss_nor_the_update() -> None:
    task = tasks.find("music")
    options = MusicOptions(hidden_size=4, dropout_rate=0.0)
    config, info = task.config(epochs=1, options=options), fdl.data.DatasetInfo(*INFO)
    rolls = trills(3)
    short, long = (as_pieces(rolls, time) for time in (20, 31))
    model = task.make_model(options, info)
    learner = task.learn(model, config, info)
    state = learner.init(jax.random.key(0), short)
    step = jax.jit(learner.step)
    (after, measured), (same, also) = step(state, short), step(state, long)
    closeness.close(same.params, after.params)
    closeness.close(jax.tree.leaves(also), jax.tree.leaves(measured))
    # The mean is over frames, not over pieces.
    logits = model.apply({"params": state.params}, short.inputs.astype(np.float32))
    loss = np.logaddexp(0, logits) - short.targets * np.asarray(logits)
    frames = loss.sum(axis=-1)[short.weights]
    mean = fdl.metrics.compute(measured)["nats_per_frame"]
    assert mean == pytest.approx(frames.mean(), rel=1e-5)
    _, count = nats(logits, short.targets, short.weights)
    assert int(count) == sum(map(len, rolls)) - 3


INFO = ("", "", "", KEYS, KEY_NAMES, (19, KEYS), 3, 1, 1, "", (), "music")


def test_the_baseline_predicts_each_key_independently() -> None:
    train, test = as_pieces(trills(5), 25), as_pieces(trills(3), 22)
    counts = np.ones((2, 2, KEYS))
    for before, after, real in zip(*train, strict=True):
        for a, b in zip(before[real], after[real], strict=True):
            counts[a, b, np.arange(KEYS)] += 1
    chance = counts / counts.sum(axis=1, keepdims=True)
    lost = [
        -np.log(chance[a, b, np.arange(KEYS)]).sum()
        for before, after, real in zip(*test, strict=True)
        for a, b in zip(before[real], after[real], strict=True)
    ]
    assert baseline(train, test) == pytest.approx(np.mean(lost))
