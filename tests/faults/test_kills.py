"""What is killed, whenever that is, loses nothing.

`python -m bench.kills` kills more kinds of training at more moments.
"""

import random
import signal

import pytest

from bench.kills import kill_and_resume, train_whole

# Parts with states of their own, what early stopping remembers, and parts of a sweep.
KINDS = {
    "mlp": [signal.SIGKILL, signal.SIGTERM],
    "gan": [signal.SIGKILL],
    "sweep": [signal.SIGINT],
}


@pytest.mark.filterwarnings("ignore:.* is gone; going on")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_killed_and_resumed_ends_like_any_other(kind, tmp_path) -> None:
    whole, seconds = train_whole(kind, tmp_path)
    draw = random.Random(kind)
    for number in KINDS[kind]:
        after = draw.uniform(0, seconds)
        killed = kill_and_resume(
            kind, tmp_path, number, after=after, whole=whole, name=number.name
        )
        assert killed.same, (kind, killed, after)
        code = -number if number == signal.SIGKILL else 128 + number
        assert killed.ended or killed.code == code, killed
