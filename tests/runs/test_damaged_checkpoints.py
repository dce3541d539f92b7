"""Damaged files of a run are found and named, and intact ones are used."""

import hashlib
import json
import os
import resource
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from bounds import refused
from fdl.learner import State
from fdl.metrics import Mean
from fdl.runs import RunError, RunFolder, load_weights, save_weights
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.seal import seal
from fdl.runs.states import restore_state, save_state
from fdl.train import EarlyStopping, Epoch
from fdl.weights import WeightsError

STOPPING = EarlyStopping("loss", "min")


def moment(step: int) -> Checkpoint:
    """Return a checkpoint within the second epoch."""
    params = {"x": jnp.arange(300.0) + step, "y": jnp.ones((2, 2)) * step}
    state = State(jnp.int32(step), params, jax.random.key(step))
    history = (Epoch(1, 2, True, {"loss": 1.0}, {"loss": 1.0}, 0.5),)
    sums = {"loss": Mean(jnp.float32(step), jnp.float32(7))}
    return Checkpoint(state, history, sums)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = RunFolder.create(tmp_path_factory.mktemp("made"), {})
    folder.keep(Checkpoint(moment(2).state, moment(2).history))
    for step in (3, 4):
        folder.keep(moment(step))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def newest(folder: RunFolder):
    like = jax.eval_shape(lambda: moment(0).state)
    return folder.checkpoints.newest(like, moment(0).sums, STOPPING)


def require_is(found: Checkpoint | None, step: int) -> None:
    assert found is not None
    plain = lambda each: each._replace(
        state=each.state._replace(key=jax.random.key_data(each.state.key))
    )
    jax.tree.map(np.testing.assert_array_equal, plain(found), plain(moment(step)))


def flip(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    file.write_bytes(content)


def test_the_newest_checkpoint_is_used_with_the_best(folder) -> None:
    found, best = newest(folder)
    require_is(found, 4)
    assert best is not None
    np.testing.assert_array_equal(best.params["x"], moment(2).state.params["x"])


def test_any_flipped_bit_and_truncated_or_missing_file_is_found(folder) -> None:
    """In every file of a checkpoint; Orbax restores wrong numbers without an error."""
    last = folder.checkpoints.found()[-1]
    files = sorted(file for file in last.rglob("*") if file.is_file())
    assert len(files) > 5
    for file in files:
        before = file.read_bytes()
        spoils = [lambda file=file: flip(file, 0.5), file.unlink]
        spoils += [lambda file=file: file.write_bytes(file.read_bytes()[:-1])]
        for spoil in spoils if before else [file.unlink]:
            spoil()
            named = f"state in {last} cannot be restored: .*{last.name[:-1]}.* is used"
            with pytest.warns(UserWarning, match=named):
                found, _ = newest(folder)
            require_is(found, 3)
            file.write_bytes(before)
    require_is(newest(folder)[0], 4)


def test_other_files_hide_no_checkpoint_and_are_not_deleted(folder) -> None:
    place = folder.checkpoints.folder
    (place / "7").mkdir()
    (place / "99999").mkdir()
    (place / "99999" / "thesis.txt").write_text("mine")
    (place / "8").write_text("a file")
    with pytest.warns(UserWarning, match="is missing or damaged") as warned:
        require_is(newest(folder)[0], 4)
    assert len(warned) == 2
    folder.keep(moment(7))
    assert (place / "99999" / "thesis.txt").read_text() == "mine"
    names = {path.name for path in place.iterdir()}
    assert names == {"2", "3", "4", "7", "8", "99999"}
    with pytest.raises(RunError, match=f"{place}/99999 was not written by fdl"):
        folder.keep(moment(99999))


def test_a_damaged_checkpoint_is_written_again_before_intact_ones_go(
    folder, monkeypatch
) -> None:
    flip(folder.checkpoints.found()[-1] / "_METADATA", 0.5)
    folder.keep(moment(4))
    require_is(newest(folder)[0], 4)
    kept = folder.checkpoints.found()
    monkeypatch.setattr("fdl.runs.checkpoints.save_state", lambda *_: None)
    with pytest.raises(
        RunError, match=r"5 cannot be restored: sha256\.json is missing"
    ):
        folder.keep(moment(5))
    assert folder.checkpoints.found() == kept
    before = folder.history(), folder.weights.read_bytes()
    later = moment(6)._replace(history=moment(6).history * 2, sums=None)
    with pytest.raises(RunError, match="6 cannot be restored"):
        folder.keep(later)
    assert (folder.history(), folder.weights.read_bytes()) == before, "checkpoint first"


def test_the_last_epoch_is_kept_whatever_is_saved_within_the_next(folder) -> None:
    """Until the next epoch ends, the run is evaluated with its weights."""
    for step in (5, 6, 7):
        folder.keep(moment(step))
    assert [path.name for path in folder.checkpoints.found()] == ["2", "5", "6", "7"]


def test_if_no_checkpoint_is_intact_the_error_names_the_remedy(folder) -> None:
    for place in folder.checkpoints.found():
        (place / "_METADATA").unlink()
    with pytest.raises(
        RunError, match=r"4 cannot be .*train the run again, with --over"
    ):
        newest(folder)
    assert newest(RunFolder(folder.path / "checkpoints")) == (None, None)


def test_a_damaged_best_checkpoint_is_an_error(folder) -> None:
    flip(folder.checkpoints.found()[0] / "manifest.ocdbt", 0.5)
    with pytest.raises(RunError, match="No checkpoint before it is intact"):
        newest(folder)


def sign(place: Path) -> None:
    """Write the checksums of a state's files, as an attacker could."""
    (place / "sha256.json").unlink(missing_ok=True)
    files = [file for file in place.rglob("*") if file.is_file()]
    digests = {
        file.relative_to(place).as_posix(): hashlib.sha256(
            file.read_bytes()
        ).hexdigest()
        for file in files
    }
    (place / "sha256.json").write_text(json.dumps(digests))


def test_an_untrusted_state_is_refused_before_memory_is_allocated(tmp_path) -> None:
    state = moment(2).state
    place = tmp_path / "2"
    with ocp.StandardCheckpointer() as checkpointer:  # compresses arrays
        checkpointer.save(place, state._asdict())
    sign(place)
    with refused(RunError, "key is not stored as fdl stores it"):
        restore_state(place, state)
    save_state(tmp_path / "3", state)
    restore_state(tmp_path / "3", state)
    about = tmp_path / "3" / "_METADATA"
    about.rename(tmp_path / "elsewhere")
    about.symlink_to(tmp_path / "elsewhere")
    with refused(RunError, "_METADATA is missing or damaged"):
        restore_state(tmp_path / "3", state)
    with (tmp_path / "3" / "more").open("wb") as file:
        file.truncate(1 << 40)
    with refused(RunError, "has 1,099,.* bytes, but such a state has 1,2"):
        restore_state(tmp_path / "3", state)


def test_a_state_is_synced_before_it_is_renamed(tmp_path, monkeypatch) -> None:
    done, fsync, rename = [], os.fsync, Path.rename

    def note(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def name(path, target):
        done.append(None)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", name)
    save_state(tmp_path / "3", moment(3).state)
    *synced, named, folder = done
    assert (named, folder) == (None, tmp_path)
    names = {path.relative_to(tmp_path / ".3") for path in filter(None, synced)}
    place = tmp_path / "3"
    assert names == {path.relative_to(place) for path in (place, *place.rglob("*"))}


def test_weights_carry_a_checksum(folder) -> None:
    file, state = folder.weights, moment(2).state
    load_weights(file, state)
    size = file.stat().st_size
    for place in np.linspace(0, 1, 40):
        before = file.read_bytes()
        flip(file, place)
        with pytest.raises(
            WeightsError, match=f"{file} (is damaged|cannot be read|lac)"
        ):
            load_weights(file, state)
        file.write_bytes(before)
    assert size == file.stat().st_size
    again = file.with_name("again")
    save_weights(again, state)
    assert again.read_bytes() == file.read_bytes(), "the same state, the same bytes"
    x = np.zeros(4, np.float32)
    arrays = ({"a": x}, {"b": x}, {"a": x.reshape(2, 2)}, {"a": x.view(np.int32)})
    assert len({seal(one, 1)["fdl"] for one in arrays}) == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_a_one_line_error_and_loses_nothing(
    folder, capfd, caplog, monkeypatch
) -> None:
    """A limit on the size of files imitates the full disk."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = moment(5)
    noise = jax.random.normal(jax.random.key(0), (300, 300))
    large.state.params["y"] = noise  # which cannot be compressed
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            RunError, match=r"checkpoints/5: .*File too large"
        ) as raised:
            folder.keep(large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""
    assert not [record for record in caplog.records if record.name == "absl"]
    require_is(newest(folder)[0], 4)
    folder.keep(moment(6))
    assert not list(folder.checkpoints.folder.glob(".*")), "leftovers are removed"
