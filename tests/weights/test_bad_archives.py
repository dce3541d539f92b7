"""Damaged and malicious archives raise a WeightsError."""

import io
import json
import struct
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from draws import SMALL, SMALL_INPUT, SMALL_VARIABLES, refuse, same

from fdl.keras import archive, load_weights


def rewrite(path, **members) -> None:
    """Write the zip again with other members; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    content |= members
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            if data is not None:
                new.writestr(name, data)


def test_reads_a_compressed_zip(zipped) -> None:
    with zipfile.ZipFile(zipped) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data)
    same(load_weights(zipped, SMALL), SMALL_VARIABLES)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_BZIP2) as new:
        for name, data in content.items():
            new.writestr(name, data)
    refuse(zipped, "in a compression format that Keras never uses")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_each_member_must_occur_once(zipped, name) -> None:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(zipped, "a") as new:
        new.writestr(name, "{}")
    refuse(zipped, f"has 2 members named {name}")
    rewrite(zipped, **{name: None})
    refuse(zipped, f"has no members named {name}")


def test_refuses_weights_in_several_files(zipped) -> None:
    rewrite(zipped, **{"model.weights.json": "{}", "model.weights.h5": None})
    refuse(zipped, "in several files, which is not supported")


def test_refuses_encryption(zipped) -> None:
    content = bytearray(zipped.read_bytes())
    entry = content.index(b"PK\1\2")
    while entry >= 0:
        content[entry + 8] |= 1
        entry = content.find(b"PK\1\2", entry + 1)
    zipped.write_bytes(content)
    refuse(zipped, r"has an encrypted config\.json")
    refuse(zipped, r"has an encrypted model\.weights\.h5", SMALL_INPUT)


def test_members_that_declare_to_be_large_are_not_inflated(zipped, monkeypatch) -> None:
    monkeypatch.setattr(archive, "SLACK", 1 << 16)
    rewrite(zipped, **{"model.weights.h5": bytes(1 << 18)})
    refuse(zipped, r"of 262,144 bytes; the limit for this model is 6\d,\d\d\d\.")
    # With the inputs that the archive declares, the model could be that large.
    config = {"batch_shape": [None, 512, 512, 1], "name": "i", "dtype": "float32"}
    layer = {"class_name": "InputLayer", "config": config}
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        new.writestr("model.weights.h5", bytes(1 << 24))
    refuse(zipped, r"of 16,777,216 bytes; the limit for this model is 13\d,")
    monkeypatch.setattr(archive, "MAX_CONFIG", 10)
    refuse(zipped, r"has a config\.json of .* bytes; .* is 10\.")


def test_declared_sizes_are_not_trusted(zipped) -> None:
    """A member declares 64 bytes, but inflates to a megabyte."""
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("model.weights.h5", bytes(1 << 20))
    content = bytearray(zipped.read_bytes())
    struct.pack_into("<I", content, 22, 64)
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 64)
    zipped.write_bytes(content)
    refuse(zipped, "Bad CRC", SMALL_INPUT)


def test_members_are_not_extracted(zipped, tmp_path) -> None:
    rewrite(zipped, **{"../out.txt": "x", "/out.txt": "x", "assets/a.txt": "x"})
    same(load_weights(zipped, SMALL), SMALL_VARIABLES)
    assert [path.name for path in tmp_path.iterdir()] == ["x.keras"]


def test_weights_in_an_archive_are_checked_like_other_weights(zipped) -> None:
    with zipfile.ZipFile(zipped) as old:
        buffer = io.BytesIO(old.read("model.weights.h5"))
    with h5py.File(buffer, "r+") as file:
        file["layers/x"] = h5py.ExternalLink("other.h5", "/x")
    rewrite(zipped, **{"model.weights.h5": buffer.getvalue()})
    refuse(zipped, "has a link at .* not followed")


# The description


def input_layer(**config) -> dict:
    config = {"name": "i", "batch_shape": [None, 3, 3, 1], "dtype": "float32"} | config
    return {"class_name": "InputLayer", "config": config}


def test_described_code_is_not_run(zipped, tmp_path) -> None:
    harm = tmp_path / "harm"
    layers = [
        input_layer(),
        {"module": "os", "class_name": "system", "config": f"touch {harm}"},
        {"class_name": "Lambda", "config": {"function": ["4wAAAAA=", None, None]}},
        {"module": "builtins", "class_name": "eval", "config": f"open({harm}, 'w')"},
    ]
    rewrite(zipped, **{"config.json": json.dumps({"config": {"layers": layers}})})
    same(load_weights(zipped, SMALL), SMALL_VARIABLES)
    assert not harm.exists()


@pytest.mark.parametrize(
    "order", [["b", 0, 0], [["b", 0, 0]], ["b"], [["b", 0, 0], ["a", 0, 0]]]
)
def test_inputs_are_read_in_order(zipped, order) -> None:
    layers = [
        input_layer(name="a", batch_shape=[None, 5]),
        input_layer(name="b", batch_shape=[2, None, 3], dtype="int32"),
    ]
    config = {"config": {"layers": layers, "input_layers": order}}
    rewrite(zipped, **{"config.json": json.dumps(config)})
    first, *rest = archive.read_inputs(zipped)
    assert (first.shape, first.dtype) == ((2, 1, 3), np.int32)
    assert len(rest) == (len(order) == 2)


@pytest.mark.parametrize(
    "config",
    [
        "",
        b"\xff\xfe",
        "[" * 100_000,
        "[]",
        "null",
        '{"config": 3}',
        '{"config": {"layers": 3}}',
        '{"config": {"layers": [3]}}',
        '{"config": {"layers": []}}',
        json.dumps({"config": {"layers": [input_layer(batch_shape=None)]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape="3333")]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape=[True, 3])]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape=[None, -3])]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape=[None, 1e3])]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape=[None, 1 << 99])]}}),
        json.dumps({"config": {"layers": [input_layer(batch_shape=[1] * 99)]}}),
        json.dumps({"config": {"layers": [input_layer(dtype="os.system")]}}),
        json.dumps({"config": {"layers": [input_layer(dtype=[])]}}),
        json.dumps({"config": {"layers": [input_layer(name=[])]}}),
        json.dumps({"config": {"layers": [input_layer()], "input_layers": ["x"]}}),
        json.dumps({"config": {"layers": [input_layer()], "input_layers": 3}}),
        json.dumps({"config": {"layers": [input_layer()], "input_layers": [{}]}}),
    ],
)
def test_refuses_a_description_without_valid_inputs(zipped, config) -> None:
    rewrite(zipped, **{"config.json": config})
    refuse(zipped, "does not describe the inputs of its model: pass an example")
    same(load_weights(zipped, SMALL, SMALL_INPUT), SMALL_VARIABLES)


@pytest.mark.parametrize(
    "shape", [[None], [], [None, 5, 5, 1], [None] + [(1 << 31) - 1] * 7]
)
def test_refuses_inputs_of_another_model(zipped, shape) -> None:
    layer = input_layer(batch_shape=shape)
    rewrite(zipped, **{"config.json": json.dumps({"config": {"layers": [layer]}})})
    refuse(zipped, "does not accept|but the model needs")
