"""Examples that weights have seen, recognized by content from run to run."""

import numpy as np
import pytest
from safetensors.numpy import save as save_arrays

import fdl
from fdl.data import DataError
from fdl.runs import RunError, train
from fdl.runs.seen import load_seen

RNG = np.random.default_rng(0)
IMAGES, CLASSES = RNG.integers(256, size=(80, 6, 6), dtype=np.uint8), np.arange(80) % 2
QUICK = {"epochs": 1, "batch_size": 8, "hidden_sizes": (4,)}


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Return a function that writes a data file and returns its `npz:` line."""
    monkeypatch.chdir(tmp_path)

    def make(name, train, test, **others):
        rows = {"train": train, "test": test} | others
        arrays = {f"x_{part}": IMAGES[each] for part, each in rows.items()}
        arrays |= {f"y_{part}": CLASSES[each] for part, each in rows.items()}
        np.savez(tmp_path / f"{name}.npz", **arrays)
        return f"npz:{tmp_path}/{name}.npz"

    return make


A, B, C, D, E = (slice(16 * n, 16 * n + 16) for n in range(5))


def test_seen_examples_are_neither_tested_nor_held_out(save) -> None:
    first = train("mlp", dataset=save("1", A, C, validation=B), path="1", **QUICK)
    fine_tune = lambda name, line, **more: train(
        "mlp", dataset=line, path=name, **QUICK | more
    )
    for name, parts, message in (
        ("x", (D, A), "16 of the 16 test inputs of x are among those that 1 has seen"),
        ("y", (D, B), "16 of the 16 test inputs of y are"),  # used for selection
    ):
        line = save(name, *parts)
        with pytest.raises(DataError, match=message):
            fine_tune(name, line, init_from="1")
        with pytest.raises(DataError, match=message):
            first.dataset(line)
    with pytest.raises(DataError, match="16 of the 16 validation inputs of z are"):
        fine_tune("z", save("z", D, C, validation=A), init_from="1")
    # Both runs may hold out the same examples.
    second = fine_tune("2", save("2", D, C, validation=B), init_from="1")
    # After fine-tuning, the record includes what the first run has seen.
    assert len(load_seen(second.path).trained) == 32
    for part in (A, B, D):
        with pytest.raises(DataError, match="test inputs"):
            fine_tune("4", save("4", E, part), init_from="2", validation=None)
        with pytest.raises(DataError, match="test inputs"):
            fdl.load("2").dataset(save("4", E, part))
    assert fine_tune("4", save("4", E, C), init_from="2", validation=None).metrics
    with pytest.raises(DataError, match=r"validation inputs .*--validation none"):
        fine_tune("5", save("4", E, C, validation=A), init_from="4")


def test_a_few_repeated_images_are_a_warning(save, caplog, monkeypatch) -> None:
    monkeypatch.setattr("fdl.runs.seen._TOLERATED", 0.1)
    run = train("mlp", dataset=save("1", A, C, validation=B), path="1", **QUICK)
    line = save("2", E, np.r_[48:63, 0])  # 15 new images, and one it trained on
    assert len(run.dataset(line).test.image) == 16
    assert "1 of the 16 test inputs of 2 are among" in caplog.text


def test_a_damaged_record_is_named(save) -> None:
    run = train("mlp", dataset=save("1", A, C, validation=B), path="1", **QUICK)
    line = save("2", D, E)
    file = run.path / "seen.safetensors"
    for content, message in (
        (b"nothing", "cannot be read as safetensors"),
        (save_arrays({"trained": np.zeros(3)}), "its arrays are not hashes"),
    ):
        file.write_bytes(content)
        with pytest.raises(RunError, match=message):
            run.dataset(line)
    file.unlink()
    assert len(run.dataset(line).test.image) == 16
