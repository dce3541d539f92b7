"""The recurrent network that predicts the next frame of polyphonic music."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses, metrics
from fdl.arrays import Array, Key, Pieces
from fdl.data import Dataset, DatasetInfo
from fdl.data.midi import read_midi, write_midi
from fdl.data.music import KEYS, Roll, cut, rolls_of
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.models import SequenceModel, continue_frames
from fdl.tasks.catalog import describe
from fdl.tasks.classification import title_of
from fdl.tasks.config import Config
from fdl.tasks.inputs import inputs_of
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.sequence_options import MusicOptions
from fdl.tasks.task import Sampling, Task, Trained

_GIVEN, _DRAWN = 32, 96  # frames of a test piece: given, and generated


def frame_nll(logits: Array, frame: Array) -> Array:
    """Return the loss of each frame in nats, summed over the keys.

    Example:
        >>> frame_nll(jnp.zeros((1, 88)), np.ones((1, 88), np.uint8)).round(3)
        Array([60.997], dtype=float32)
    """
    return losses.bernoulli_nll(logits, jnp.asarray(frame, logits.dtype), axes=1)


def nats(logits: Array, target: Array, weights: Array | None = None) -> metrics.Mean:
    """Return the mean loss of a frame; padding does not count.

    Example:
        >>> total, count = nats(jnp.zeros((1, 3, 88)), jnp.zeros((1, 3, 88)))
        >>> round(float(total / count), 3)  # 88 log 2
        60.997
    """
    return metrics.mean(frame_nll(logits, target), weights)


def _make_model(options: MusicOptions, info: DatasetInfo) -> SequenceModel:
    return SequenceModel(
        info.num_classes,
        options.cell,
        options.hidden_size,
        options.num_layers,
        options.dropout_rate,
    )


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    return supervised(
        model,
        frame_nll,
        make_optimizer(config, info),
        metrics={"nats_per_frame": nats},
        answer=jax.nn.sigmoid,
        preprocess=inputs_of(info),
    )


def _prepare(dataset: Dataset, config: Config) -> Dataset:
    """Cut long training pieces; pad those of other parts to the longest only."""
    train = cut(dataset.train, config.options.length)
    validation, test = (
        None if part is None else cut(part, part.weights.shape[1])
        for part in (dataset.validation, dataset.test)
    )
    info = dataset.info._replace(train_count=len(train.inputs))
    return Dataset(train, validation, test, info)


def baseline(train: Pieces, test: Pieces) -> float:
    """Return the nats per frame of a baseline, a Markov chain for each key.

    The probability that a key sounds depends only on whether it did one frame before,
    and is estimated from the training pieces with add-one smoothing.

    Example:
        >>> off = np.zeros((1, 9, 88), np.uint8)
        >>> silence = Pieces(off, off, np.ones((1, 9), bool))
        >>> round(baseline(silence, silence), 3)  # 88 log (11 / 10)
        8.387
    """
    counts = np.zeros((2, 2, KEYS))
    for before in (0, 1):
        for after in (0, 1):
            counts[before, after] = _pairs(train, before, after)
    chances = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
    found = sum(
        -(_pairs(test, before, after) * np.log(chances[before, after])).sum()
        for before in (0, 1)
        for after in (0, 1)
    )
    return float(found / np.sum(test.weights))


def _pairs(pieces: Pieces, before: int, after: int) -> np.ndarray:
    """Count for each key the pairs of frames with the states `before` and `after`."""
    inputs, targets, real = map(np.asarray, pieces)
    same = (inputs == before) & (targets == after)
    return (same & real[..., None]).sum(axis=(0, 1))


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `piano-roll.png`, test pieces and their continuations by the model.

    Also writes `piece.mid`, the beginning of the first piece, and `continued.mid`.
    """
    from fdl import report  # imports matplotlib, which takes half a second

    given = [roll[:_GIVEN] for roll in rolls_of(dataset.test)[:3]]
    key = jax.random.key(trained.config.seed)
    rolls, titles = [], []
    for number, roll in enumerate(given):
        true = rolls_of(dataset.test)[number][: _GIVEN + _DRAWN]
        drawn = _play(trained, jax.random.fold_in(key, number), roll[None], _DRAWN)
        rolls += [true, drawn[0]]
        titles += [f"test piece {number + 1}", "the same, continued by the model"]
    report.draw_rolls(
        folder / "piano-roll", rolls, titles, given=_GIVEN, title=title_of(trained)
    )
    write_midi(folder / "piece.mid", given[0])
    write_midi(folder / "continued.mid", rolls[1])
    known = baseline(dataset.train, dataset.test)
    return {"baseline_nats_per_frame": known}


def _generate(trained: Trained, key: Key, sampling: Sampling) -> list[Roll]:
    """Return pieces that continue a MIDI file, or silence."""
    given = np.zeros((1, KEYS), np.uint8)
    if sampling.prompt:
        given = read_midi(Path(sampling.prompt))
    before = np.repeat(given[None], sampling.count, axis=0)
    played = _play(
        trained, key, before, sampling.length, temperature=sampling.temperature
    )
    return [*played[:, 0 if sampling.prompt else 1 :]]


def _play(
    trained: Trained, key: Key, given: np.ndarray, length: int, **how: Any
) -> np.ndarray:
    """Return pieces, each followed by the model's continuation."""
    drawn = continue_frames(trained.model, trained.variables, given, length, key, **how)
    return np.concatenate([given, np.asarray(drawn, np.uint8)], axis=1)


music = Task(
    **vars(describe("music")),
    make_model=_make_model,
    learn=_learn,
    prepare=_prepare,
    finish=_finish,
    generate=_generate,
)
