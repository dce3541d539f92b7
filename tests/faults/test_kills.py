"""Runs and sweeps that are killed at any moment lose nothing.

`python -m bench.kills` kills more kinds of training at more moments.
"""

import random
import signal

import pytest

from bench.kills import kill_and_resume, train_whole

# Two models with their own states, and a sweep in parts: each is killed soon after its
# first checkpoint or part is stored. In tests/runs, test_resume.py resumes early
# stopping, and test_signals.py stops on SIGTERM, in one process.
KINDS = {
    "gan": ("checkpoints/[0-9]*", signal.SIGKILL),
    "sweep": ("parts/*", signal.SIGINT),
}


@pytest.mark.filterwarnings("ignore:.* is gone; continuing")
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(kind, tmp_path) -> None:
    whole, _ = train_whole(kind, tmp_path)
    after = random.Random(kind).uniform(0, 0.1)
    once, number = KINDS[kind]
    killed = kill_and_resume(
        kind, tmp_path, number, after=after, whole=whole, once=once
    )
    assert killed.same, (kind, killed, after)
    code = -number if number == signal.SIGKILL else 128 + number
    assert killed.ended or killed.code == code, killed
