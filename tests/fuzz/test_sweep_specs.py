"""Options of sweeps: those without a meaning raise a ValueError, at once."""

import random
import time

import pytest

from fdl import tasks
from fdl.cli.grids import read_grid, read_ranges
from fdl.runs.settings import settings
from fdl.runs.space import combine

VALUES = (
    "0 1 -1 1e-3 0.5 1e400 -1e308 1e308 nan inf 400x400 true relu one-cycle adam 1_0 "
    "1e999999 0x x rows 4 2**70 ٣ \x00 " + "9" * 30 + " " + "1" * 5000
).split(" ")
GRIDS = ["{}={}", "{}={},{}", "{}={},{}", "--{}={}", "{}{}", "{}=={}", "{}=,"]
RANGES = ["{}=log:{}:{}", "{}=lin:{}:{}", "{}=lin:{}:{}", "{}={}:{}", "{}=lin:0:{}:{}"]
CONFIGS = [tasks.find(name).config() for name in ("mlp", "lstm", "vae")]


def combined(config, grid=(), ranges=(), samples=1, seeds=1):
    return combine(
        config,
        grid=read_grid(config, grid),
        ranges=read_ranges(config, ranges),
        samples=samples,
        seeds=seeds,
    )


def test_random_options_are_combined_or_refused_quickly() -> None:
    rng, good, messages = random.Random(0), 0, []
    started = time.process_time()
    for _ in range(5000):
        config = rng.choice(CONFIGS)
        names = [*settings(config), "nothing", "", "epochs "]
        word = lambda form, names=names: form.format(
            rng.choice(names), rng.choice(VALUES), rng.choice(VALUES)
        )
        grid = [word(rng.choice(GRIDS)) for _ in range(rng.choice([0, 1, 1, 2]))]
        ranges = [word(rng.choice(RANGES)) for _ in range(rng.choice([0, 1]))]
        samples = rng.choice([1, 1, 2, 0, 10**9])
        seeds = rng.choice([1, 1, 3, -5, 10**9, 10**30])
        try:
            good += len(combined(config, grid, ranges, samples, seeds)) > 0
        except ValueError as error:
            messages.append(str(error))
    assert 50 < good < 1000
    assert not any("\n" in line for line in messages)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"ranges": ["learning-rate=lin:-1e308:1e308"]}, "is not a range"),
        ({"ranges": ["epochs=lin:1e300:1e308"]}, r"epochs=\d+\.\.\. must be finite"),
        ({"grid": [f"epochs={10**12}"]}, "epochs=1,000,000,000,000 for 1 members"),
        (
            {"grid": ["epochs=9000000,9000001"]},
            "for 2 members exceed the limit of 10,000,",
        ),
        ({"seeds": 10**9}, "seeds=1,000,000,000, samples=1 .* more than the 100,000"),
        ({"ranges": ["ema=lin:0:0.5"], "samples": 10**9}, "samples=1,000,000,000 and"),
    ],
)
def test_sweeps_beyond_the_limits_are_refused(words, message) -> None:
    with pytest.raises(ValueError, match=message):
        combined(CONFIGS[0], **words)
