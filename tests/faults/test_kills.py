"""What is killed, whenever that is, loses nothing; see `bench.kills`."""

import random
import signal

import pytest

from bench.kills import KINDS, kill_and_resume, train_whole


@pytest.mark.filterwarnings("ignore:.* is gone; going on")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_killed_and_resumed_ends_like_any_other(kind, tmp_path) -> None:
    whole, seconds = train_whole(kind, tmp_path)
    draw = random.Random(kind)
    stop = draw.choice((signal.SIGTERM, signal.SIGINT))
    for number, name in ((signal.SIGKILL, "killed"), (stop, "stopped")):
        after = draw.uniform(0, seconds)
        killed = kill_and_resume(
            kind, tmp_path, number, after=after, whole=whole, name=name
        )
        assert killed.same, (kind, killed, after)
        code = 128 + number if number == stop else -number
        assert killed.ended or killed.code == code, killed
