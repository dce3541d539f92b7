"""Changed files of a sweep are named in one line, and never trusted."""

import json
import random
import warnings
from unittest.mock import ANY

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bounds import memory, reset_peak
from fdl.learner import State
from fdl.runs import Comparison, RunError, compare
from fdl.runs.part import Part
from fdl.runs.parts import SweepParts
from fdl.runs.seal import seal

ODD = [None, True, -1, 0, 1.5, 2**70, 10**400, 1e308, float("nan"), "x", [], {}, [[]]]


def spoiled(content, rng):
    """Return JSON content with one value changed or deleted."""
    if isinstance(content, dict | list) and content and rng.random() < 0.85:
        copy = content.copy()
        place = rng.choice([*copy] if isinstance(copy, dict) else range(len(copy)))
        if rng.random() < 0.15:
            del copy[place]
        else:
            copy[place] = spoiled(copy[place], rng)
        return copy
    return rng.choice(ODD)


def cut_or_flipped(content, rng):
    if rng.random() < 0.2:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 8])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


@pytest.fixture
def kept(tmp_path):
    """A part of two members after two epochs, with its state."""
    rows = [
        {
            "member": k,
            "configuration": 0,
            "seed": k,
            "epoch": epoch,
            "diverged": -1,
            "train_loss": 0.5,
        }
        for k in (0, 1)
        for epoch in (1, 2)
    ]
    part = Part(0, [0, 1], "of these", 2, 6, True, "vmap", 2, 1.5, rows)
    keys = jax.random.split(jax.random.key(0))
    state = State(jnp.int32([6, 6]), {"kernel": jnp.ones((2, 3))}, keys)
    SweepParts(tmp_path).write(part, state)
    return part, state


def read(folder):
    """Return the part in a folder and its state, if it is intact."""
    kept = SweepParts(folder)
    one = State(
        jax.ShapeDtypeStruct((), jnp.int32),
        {"kernel": jax.ShapeDtypeStruct((3,), jnp.float32)},
        jax.eval_shape(jax.random.key, 0),
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = kept.read(2, lambda members: ANY, lambda k: one)
    assert len(found) + len(warned) == 1
    for warning in warned:
        text = str(warning.message)
        assert str(folder) in text
        assert "is damaged" in text
        assert "\n" not in text
    return [(part, kept.state(part, one)) for part in found]


def test_parts_with_changed_bytes_are_refused(kept, tmp_path) -> None:
    (file,) = tmp_path.iterdir()
    content, rng = file.read_bytes(), random.Random(0)
    ((part, state),) = read(tmp_path)
    assert part == kept[0]
    assert (state.key == kept[1].key).all()
    damaged = 0
    for _ in range(400):
        file.write_bytes(cut_or_flipped(content, rng))
        found = read(tmp_path)
        damaged += not found
        for part, state in found:  # the changed byte has no meaning
            assert part == kept[0]
            np.testing.assert_array_equal(state.params["kernel"], np.ones((2, 3)))
    assert damaged > 350


def test_parts_with_changed_values_are_refused_or_valid(kept, tmp_path) -> None:
    (file,) = tmp_path.iterdir()
    arrays, rng = load_file(file), random.Random(0)
    good = json.loads(arrays["part"].tobytes())
    for _ in range(400):
        facts = json.dumps(spoiled(good, rng)).encode()
        forged = arrays | {"part": np.frombuffer(facts, np.uint8)}
        save_file(forged, file, seal(forged, 6))
        for part, _ in read(tmp_path):
            assert {type(row["seed"]) for row in part.rows} == {int}
            assert set(part.members) <= {0, 1}
    save_file(arrays, file, seal(arrays, 6))
    assert read(tmp_path)
    file.rename(tmp_path / "00-000001-000002.safetensors")
    assert read(tmp_path) == [], "it is of members 0 and 1"


def test_parts_that_declare_too_much_are_refused(kept, tmp_path) -> None:
    """The files are sparse."""
    (file,) = tmp_path.iterdir()
    facts, size = load_file(file)["part"].tobytes(), 1 << 33
    part = {"dtype": "U8", "shape": [len(facts)], "data_offsets": [0, len(facts)]}
    large = {"dtype": "U8", "shape": [size]}
    start = len(facts)
    for head, data in (
        ({"part": large | {"data_offsets": [0, size]}}, b""),
        ({"part": part, "key": large | {"data_offsets": [start, start + size]}}, facts),
    ):
        text = json.dumps(head).encode()
        with file.open("wb") as opened:
            opened.write(len(text).to_bytes(8, "little") + text + data)
            opened.truncate(8 + len(text) + len(data) + size)
        before = memory("VmRSS")
        reset_peak()
        assert read(tmp_path) == []
        assert memory("VmHWM") - before < 1 << 17  # KiB


def test_changed_results_are_compared_or_refused(tmp_path) -> None:
    one = {"seeds": [0, 1, 2], "test_values": [0.1, 0.2, 0.4], "diverged": 0}
    good = {"metric": "loss", "mode": "max", "configurations": [one]}
    rng, compared, messages = random.Random(0), 0, []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(good))
    file = tmp_path / "a" / "result.json"
    for i in range(600):
        text = json.dumps(spoiled(good, rng))
        file.write_bytes(text.encode() if i % 2 else cut_or_flipped(text.encode(), rng))
        try:
            found = compare(tmp_path / "a", tmp_path / "b")
        except RunError as error:
            messages.append(str(error))
        else:
            compared += 1
            assert isinstance(found, Comparison)
    assert 0 < compared < 300
    assert all(str(tmp_path) in line and "\n" not in line for line in messages)
    file.write_text("[" * 100_000)
    with pytest.raises(RunError, match=r"is not a finished sweep|is damaged"):
        compare(tmp_path / "a", tmp_path / "b")
