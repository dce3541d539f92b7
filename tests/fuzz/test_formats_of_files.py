"""Randomly changed files are read, or refused in one line.

`FDL_FUZZ_CASES=5000 pytest tests/fuzz -k png` tries more changes.
"""

import gzip
import hashlib
import io
import json
import os
import random
import struct
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import jax
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from mutations import bytes_of, json_of, lines_of
from PIL import Image
from safetensors.numpy import save

from bounds import memory, reset_peak
from fdl import data, models, tasks
from fdl.arrays import DataError
from fdl.data import idx, pictures, prepared
from fdl.data.catalog import CATALOG, Split
from fdl.export.errors import ExportError
from fdl.export.stablehlo import read_stablehlo, write_stablehlo
from fdl.keras import (
    WeightsError,
    hdf5,
    hdf5_contents,
    import_model,
    load_weights,
    save_weights,
)
from fdl.learner import State
from fdl.runs import RunError, RunFolder
from fdl.runs import load_weights as load_run_weights
from fdl.runs.listing import look_at, read_log
from fdl.runs.record import read, record
from graphs.golden import read as read_pair

MODEL = models.MLP(3, hidden_sizes=(4,))
INPUT = np.zeros((1, 3, 3, 1), np.float32)
STATE = State(np.int32(0), {"bias": np.zeros(3, np.float32)}, jax.random.key(0))
DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(0, 10, 300, dtype=np.uint8)
ENTRY = CATALOG["mnist"]._replace(
    train=Split(300, "", hashlib.sha256(LABELS.astype("<i4").tobytes()).hexdigest())
)
PICTURE = Image.fromarray(DRAW.integers(0, 256, (9, 9, 3), dtype=np.uint8))


class Target(NamedTuple):
    """A kind of file, and how to change it.

    Attributes:
        make: Function that writes an intact file.
        read: Function that reads it.
        errors: Errors that it may raise.
        cases: Number of changes to try.
        change: Function that changes the content.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]
    cases: int = 300
    change: Callable[[bytes, random.Random], bytes] = bytes_of


def picture(kind: str, **options):
    return lambda file: PICTURE.save(file, kind, **options)


def exif() -> bytes:
    found = Image.Exif()
    found[0x0112], found[0x010E], found[0x011A] = 6, "hello", 72.5
    return found.tobytes()


def decode(file: Path) -> object:
    return pictures.read_picture(file, 1), pictures.read_size(file)


def gray_array(file: Path) -> None:
    np.save(file, np.asarray(PICTURE.convert("L")))
    file.with_suffix(".npy").rename(file)


def arrays(file: Path) -> None:
    with file.open("wb") as opened:
        np.savez(opened, x=DRAW.integers(0, 9, (12, 3)), y=np.arange(12) % 3)


def keras_weights(file: Path) -> None:
    variables = MODEL.init(jax.random.key(0), INPUT)
    save_weights(file, MODEL, variables, INPUT)


def whole_model(file: Path) -> None:
    read_pair("keras2-nested.h5", file.parent)[0].rename(file)


def described_h5(content: bytes, draw: random.Random) -> bytes:
    """Change the description of a Keras 2 model."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        description = file.attrs["model_config"]
        file.attrs["model_config"] = np.bytes_(json_of(description.encode(), draw))
    return buffer.getvalue()


def described_keras(content: bytes, draw: random.Random) -> bytes:
    """Change the description of a model in an archive, and update its checksum."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w") as new,
    ):
        for name in old.namelist():
            member = old.read(name)
            changed = json_of(member, draw) if name == "config.json" else member
            new.writestr(name, changed)
    return buffer.getvalue()


def labels(file: Path) -> None:
    content = struct.pack(">II", 0x0801, len(LABELS)) + LABELS.tobytes()
    file.write_bytes(gzip.compress(content, 1))


def table(file: Path) -> None:
    rows = [f"{k},{k / 7:.3f},{'ab'[k % 2]},{'xyz'[k % 3]}" for k in range(12)]
    file.write_text("\n".join(["n,x,kind,of", *rows]))


def texts(file: Path) -> None:
    file.write_text("\n".join(json.dumps({"text": "abc " * 30}) for _ in range(40)))


def parquet(file: Path) -> None:
    content = io.BytesIO()
    PICTURE.save(content, "PNG")
    columns = {"image": [content.getvalue()] * 12, "label": [k % 3 for k in range(12)]}
    pyarrow.parquet.write_table(pyarrow.table(columns), file)


def function(file: Path) -> None:
    weights = np.ones((2, 1), np.float32)
    write_stablehlo(file, lambda x: x @ weights, np.zeros((1, 2), np.float32))


def signed(content: bytes, draw: random.Random) -> bytes:
    """Change the function in a file, and update its checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.infolist()[0].header_offset
        metadata = json.loads(archive.read("fdl.json"))
    changed = bytes_of(content[:start], draw)
    metadata["sha256"] = hashlib.sha256(changed).hexdigest()
    buffer = io.BytesIO(changed)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("fdl.json", json.dumps(metadata))
    return buffer.getvalue()


def config(file: Path) -> None:
    task, info = tasks.find("mlp"), data.load("mnist-5k").info
    about = record(task, task.config(dataset="mnist-5k"), info, None)
    file.write_text(json.dumps(about | {"init_from": None, "early_stopping": None}))


def log(file: Path) -> None:
    line = {"epoch": 1, "step": 9, "running": True, "train": {"loss": 0.5}}
    line |= {"validation": {"loss": 0.5}, "seconds": 1.5}
    file.write_text((json.dumps(line) + "\n") * 3)


def result(file: Path) -> None:
    config(file.with_name("config.json"))
    file.write_text('{"metrics": {"accuracy": 0.5}, "epochs_trained": 3}')


def features(file: Path) -> None:
    kind = {"pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar"}
    file.write_text(json.dumps({"featuresDict": {"features": {"a": kind}}}))


TARGETS = {
    "a.png": Target(picture("PNG"), decode, (DataError,), 1000),
    "exif.jpg": Target(picture("JPEG", exif=exif()), decode, (DataError,), 800),
    "a.gif": Target(picture("GIF"), decode, (DataError,)),
    "a.webp": Target(picture("WebP"), decode, (DataError,)),
    "a.npy": Target(
        gray_array,
        lambda file: data.read_images(file, (9, 9, 1), polarity="light-on-dark"),
        (DataError,),
        600,
    ),
    "a.npz": Target(
        arrays,
        lambda file: data.load(f"npz:{file}", validation=None),
        (DataError,),
        400,
    ),
    "a.weights.h5": Target(
        keras_weights,
        lambda file: load_weights(file, MODEL, INPUT),
        (WeightsError,),
        10,
    ),
    "a.keras": Target(
        keras_weights, lambda file: load_weights(file, MODEL), (WeightsError,), 150
    ),
    "whole.h5": Target(whole_model, import_model, (WeightsError,), 5),
    "described.h5": Target(
        whole_model, import_model, (WeightsError,), 40, described_h5
    ),
    "described.keras": Target(
        lambda file: read_pair("keras3-nested.keras", file.parent)[0].rename(file),
        import_model,
        (WeightsError,),
        40,
        described_keras,
    ),
    "weights.safetensors": Target(
        lambda file: file.write_bytes(save({"params/bias": np.zeros(3, "f4")})),
        lambda file: load_run_weights(file, STATE),
        (WeightsError,),
        1000,
    ),
    "config.json": Target(
        config,
        lambda file: (look_at(file.parent), read(RunFolder(file.parent))),
        (RunError, ValueError),
        120,
        json_of,
    ),
    "result.json": Target(
        result,
        lambda file: (look_at(file.parent), RunFolder(file.parent).result()),
        (RunError,),
        600,
        json_of,
    ),
    "metrics.jsonl": Target(
        log,
        lambda file: (read_log(file.parent), RunFolder(file.parent).history()),
        (RunError,),
        600,
        lines_of,
    ),
    "features.json": Target(
        features,
        lambda file: prepared.require_known_features(file.parent),
        (DataError,),
        600,
        json_of,
    ),
    "labels.gz": Target(
        labels,
        lambda file: idx.parse(ENTRY, idx.LABEL_FILES[0], file.read_bytes(), str(file)),
        (DataError,),
        600,
    ),
    "a.csv": Target(
        table,
        lambda file: data.load(f"csv:{file}?target=of", validation=None),
        (DataError,),
        400,
    ),
    "a.jsonl": Target(
        texts,
        lambda file: data.load(f"jsonl:{file}", validation=None),
        (DataError,),
        200,
        bytes_of,
    ),
    "a.parquet": Target(
        parquet,
        lambda file: data.load(f"hf:{file}", validation=None),
        (DataError,),
        200,
    ),
    "a.stablehlo": Target(function, read_stablehlo, (ExportError,)),
    "signed.stablehlo": Target(function, read_stablehlo, (ExportError,), 100, signed),
}


@pytest.mark.filterwarnings("ignore")  # of libraries, about such files
@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused(tmp_path, name, monkeypatch) -> None:
    target, draw = TARGETS[name], random.Random(name)
    # Has a checksum or is written by h5py, so this process can read it safely.
    if name in ("a.keras", "described.h5", "described.keras"):
        tell = lambda file, where: hdf5_contents.tell(file)
        monkeypatch.setattr(hdf5, "_ask", tell)
    file = tmp_path / name
    target.make(file)
    good = file.read_bytes()
    target.read(file)
    refused, cases = 0, int(os.environ.get("FDL_FUZZ_CASES", target.cases))
    before = memory("VmRSS")
    reset_peak()
    for _ in range(cases):
        file.write_bytes(target.change(good, draw))
        started = time.perf_counter()
        message = complaint(target, file)
        assert time.perf_counter() - started < 10
        refused += message is not None
        assert "\n" not in (message or "")
        assert len(message or "") < 2000
    assert memory("VmHWM") - before < 1 << 20  # KiB
    assert refused > cases // 20


def complaint(target: Target, file: Path) -> str | None:
    """Return the message of the error if a file is refused, None if it is read."""
    try:
        target.read(file)
    except target.errors as error:
        return str(error)
    except Exception:
        kept = Path(tempfile.gettempdir(), f"fuzz-{file.name}")
        kept.write_bytes(file.read_bytes())
        pytest.fail(f"see {kept}")
    return None
