"""The learning-rate range test, and the progress display of `fit`."""

import jax
import numpy as np
import pytest

import fdl
from fdl import report
from fdl.train.rate import _judge

DATA = (np.linspace(-1, 1, 40, dtype=np.float32)[:, None], np.zeros((40, 1)))


def make_learner(hparams, loss=fdl.losses.mean_squared_error):
    from flax import linen

    model = linen.Dense(1, kernel_init=linen.initializers.ones)
    optimizer = fdl.keras.sgd(hparams["learning_rate"])
    return fdl.learners.supervised(model, loss, optimizer)


LEARNER = fdl.tunable(make_learner, {"learning_rate": 1e-3})
OPTIONS = {"batch_size": 8, "key": 0}


def test_rates_grow_and_losses_are_those_of_training() -> None:
    found = fdl.find_rate(LEARNER, DATA, low=1e-3, high=1.0, steps=20, **OPTIONS)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 1, 20))
    weight, bias, x = 1.0, 0.0, DATA[0][:, 0]
    orders = [
        fdl.train.steps.draw_order(
            fdl.train.steps.key_words(jax.random.key(0)), epoch, 40, 0
        )
        for epoch in range(4)
    ]
    rows = np.concatenate(orders).reshape(-1, 8)[:20]
    assert len(found.losses) == 20
    for rate, loss, row in zip(found.rates, found.losses, rows, strict=True):
        error = weight * x[row] + bias
        assert loss == pytest.approx(np.mean(error**2), rel=1e-4, abs=1e-7)
        weight -= rate * np.mean(2 * error * x[row])
        bias -= rate * np.mean(2 * error)


def test_all_steps_are_one_program(monkeypatch) -> None:
    from fdl.train import rate

    programs, original = [], rate.program
    monkeypatch.setattr(
        rate, "program", lambda *args: programs.append(args) or original(*args)
    )
    fdl.find_rate(LEARNER, DATA, steps=12, **OPTIONS)
    assert len(programs) == 1


def test_the_suggestion_is_where_the_loss_falls_fastest(tmp_path) -> None:
    rates = np.geomspace(1e-5, 10, 400)
    fall = 1 / (1 + (rates / 1e-2) ** 2)
    with np.errstate(over="ignore"):
        losses = 2 * fall + 1e-4 * np.exp(np.minimum(rates * 8, 700))
    found = _judge(rates, losses)
    assert 3e-3 < found.suggestion < 5e-2
    assert found.rates[-1] < 10, "the diverged part is cut off"
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    losses[300:] = np.nan
    assert len(_judge(rates, losses).rates) == 300
    report.draw_rate_test(tmp_path / "a.png", *found, title="a")
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "low=0.0 must be above 0"),
        ({"low": 1.0}, "low=1.0 must be below high=1.0"),
        ({"steps": 9}, "steps=9 must be at least 10"),
        ({"batch_size": 41}, "batch_size=41"),
        ({"low": 1e30, "high": 1e31}, "use a smaller `low`"),
    ],
)
def test_bad_arguments_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        fdl.find_rate(LEARNER, DATA, **OPTIONS | options)


def test_a_learner_without_a_rate_is_refused() -> None:
    plain = make_learner({"learning_rate": 0.1})
    with pytest.raises(ValueError, match="no hyperparameter 'learning_rate'"):
        fdl.find_rate(plain, DATA, **OPTIONS)


def test_fit_shows_its_progress(capsys) -> None:
    seen = []
    run = fdl.fit(
        LEARNER,
        DATA,
        epochs=3,
        progress=True,
        on_epoch=lambda line, state: seen.append(line.epoch) or line.epoch == 2,
        **OPTIONS,
    )
    assert seen == [1, 2]
    assert run.epoch == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if line.startswith("epoch")]
    assert lines[1].startswith("epoch 2/3  train loss ")
    fdl.fit(LEARNER, DATA, epochs=1, **OPTIONS)
    assert capsys.readouterr().err == ""


def test_noise_in_the_first_loss_is_not_taken_for_a_fall() -> None:
    """The first loss is larger by chance; the loss itself falls around 0.01."""
    from fdl.train.rate import _judge

    rates = np.geomspace(1e-6, 1.0, 200)
    losses = 1 - 0.5 / (1 + (0.01 / rates) ** 2)
    losses[0] = 3.0
    assert 1e-3 < _judge(rates, losses).suggestion < 0.1
