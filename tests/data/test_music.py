"""Pieces of music: read from files, padded, cut, and written as MIDI."""

import dataclasses
import hashlib
import io

import numpy as np
import pytest
import scipy.io

from fdl.data import DataError, example, load, read_midi, write_midi
from fdl.data.dataset import require_sensible
from fdl.data.music import KEY_NAMES, KEYS, MUSIC, as_pieces, cut, rolls_of

RNG = np.random.default_rng(0)


def roll(time):
    return (RNG.random((time, KEYS)) < 0.1).astype(np.uint8)


def published(parts):
    """Return the bytes of a file in the published format."""
    arrays = {}
    for name, rolls in parts.items():
        arrays[name] = np.empty((1, len(rolls)), object)
        arrays[name][0] = rolls
    file = io.BytesIO()
    scipy.io.savemat(file, arrays)
    return file.getvalue()


def put(place, monkeypatch, data):
    """Put a file where that of JSB is expected, and accept it as the published one."""
    source = MUSIC["jsb"]
    (file,) = source.archive.files
    (place / "music").mkdir(exist_ok=True)
    (place / "music" / file.name).write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    file = file._replace(size=len(data), sha256=found)
    archive = source.archive._replace(files=(file,))
    monkeypatch.setitem(MUSIC, "jsb", dataclasses.replace(source, archive=archive))


def test_published_parts_are_read_and_padded(tmp_path, monkeypatch):
    parts = {
        "traindata": [roll(5), roll(9), roll(2)],
        "validdata": [roll(4)],
        "testdata": [roll(3), roll(11)],
    }
    put(tmp_path, monkeypatch, published(parts))
    found = load("jsb", data_dir=tmp_path)
    info = found.info
    counts = (info.train_count, info.validation_count, info.test_count)
    assert counts == (3, 1, 2)
    assert info.input_shape == (10, 88)  # all parts are padded to the longest piece
    assert (info.class_names[0], info.class_names[-1]) == ("A0", "C8")
    assert KEY_NAMES[39] == "C4"
    require_sensible(info)
    assert example(info).weights.shape == (1, 10)
    assert "88 keys" in str(found.describe())
    for part, rolls in zip(found[:3], parts.values(), strict=True):
        for got, expected in zip(rolls_of(part), rolls, strict=True):
            np.testing.assert_array_equal(got, expected)
        assert part.weights.sum() == sum(len(one) - 1 for one in rolls)
        for inputs, one in zip(part.inputs, rolls, strict=True):
            assert inputs[len(one) - 2].any()
            assert not inputs[len(one) :].any()
    together = load("jsb", data_dir=tmp_path, validation=None)
    assert together.info.train_count == 4
    np.testing.assert_array_equal(rolls_of(together.train)[3], parts["validdata"][0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (roll(1), "piece 2 of 2 has 1 frames: at least 2 are needed"),
        (2 * np.ones((3, 88), np.uint8), "has the value 2: a key sounds"),
        (roll(3)[:, :87], r"has the shape \(3, 87\): expected frames of 88"),
    ],
)
def test_bad_pieces_are_refused(wrong, message, tmp_path, monkeypatch):
    parts = {"traindata": [roll(5), wrong], "validdata": [roll(4)]}
    put(tmp_path, monkeypatch, published(parts | {"testdata": [roll(3)]}))
    with pytest.raises(DataError, match=f"train: .*{message}"):
        load("jsb", data_dir=tmp_path)
    put(tmp_path, monkeypatch, published(parts))
    with pytest.raises(DataError, match=r"JSB_Chorales\.mat has no pieces 'testdata'"):
        load("jsb", data_dir=tmp_path)


def test_cut_pieces_predict_every_frame_once():
    whole = as_pieces([roll(7), roll(12), roll(2)], 20)
    parts = cut(whole, 4)
    assert parts.weights.shape[1] == 4
    np.testing.assert_array_equal(
        parts.targets[parts.weights], whole.targets[whole.weights]
    )
    np.testing.assert_array_equal(
        parts.inputs[parts.weights], whole.inputs[whole.weights]
    )


def test_midi_files_are_written_and_read(tmp_path):
    piece = roll(40)
    piece[0] = 0  # begins with silence
    piece[:, 30], piece[-1, 31] = 1, 1  # held throughout
    write_midi(tmp_path / "a.mid", piece)
    np.testing.assert_array_equal(read_midi(tmp_path / "a.mid"), piece)
    # As other programs write them: two tracks, running status, note-off events, a
    # name, and a note below the range of a piano.
    first = b"\x00\xff\x03\x03abc" + b"\x00\x90\x3c\x40\x00\x40\x40\x18\x3c\x00"
    first += b"\x18\x80\x40\x00\x00\xff\x2f\x00"
    second = b"\x00\xc0\x05\x30\x91\x43\x40\x00\x05\x40\x18\x81\x43\x00\x00\x05\x00"
    data = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x00\x18"
    for track in (first, second):
        data += b"MTrk" + len(track).to_bytes(4, "big") + track
    (tmp_path / "b.mid").write_bytes(data)
    found = read_midi(tmp_path / "b.mid")
    keys = [[KEY_NAMES[key] for key in np.flatnonzero(frame)] for frame in found]
    assert keys == [["C4", "E4"], ["E4"], ["G4"]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a MIDI file, or a damaged one"),
        (b"RIFF" + bytes(20), "not a MIDI file"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x18", "a damaged one"),
        (
            b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x18MTrk\x00\x00\x00\x02\x00\x90",
            "a damaged one",
        ),
        (
            b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x18MTrk\x00\x00\x00\x00",
            "no notes of a piano",
        ),
        (
            b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x01MTrk\x00\x00\x00\x0b"
            b"\x00\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x00",
            "longer than 100,000 quarter notes",
        ),
    ],
)
def test_bad_midi_files_are_refused(data, message, tmp_path):
    (tmp_path / "a.mid").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.mid: .*{message}"):
        read_midi(tmp_path / "a.mid")
    with pytest.raises(DataError, match="cannot be read"):
        read_midi(tmp_path / "absent.mid")


@pytest.mark.full_mnist
def test_published_pieces(full_data_dir):
    if not (full_data_dir / "music").is_dir():
        pytest.skip(f"no music in {full_data_dir}")
    found = load("jsb", data_dir=full_data_dir, download=False)
    frames = [sum(map(len, rolls_of(part))) for part in found[:3]]
    assert frames == [13_807, 4_602, 4_725]
