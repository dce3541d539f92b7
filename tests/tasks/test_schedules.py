"""Learning rates over a run."""

import pytest

from fdl import data, tasks
from fdl.tasks.schedules import learning_rate


def test_a_last_smaller_batch_is_a_step_of_the_schedule() -> None:
    info = data.load("mnist-5k").info._replace(train_count=1001)
    config = tasks.find("cnn").config(
        dataset="mnist-5k",
        schedule="one-cycle",
        learning_rate=0.5,
        epochs=10,
        batch_size=100,
    )
    schedule = learning_rate(config, info)
    # 11 steps an epoch, the last of them on one example: 110 in all, and the peak is
    # at 30 % of them.
    assert float(schedule(33)) == pytest.approx(0.5)
    assert float(schedule(30)) < 0.499
    assert float(schedule(109)) > float(schedule(110)) == pytest.approx(2e-5)
