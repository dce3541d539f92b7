"""Files that are damaged, or made to do harm, end in a WeightsError, nothing else."""

import io
import json
import struct
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from draws import draw, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdl import models
from fdl.keras import WeightsError, archive, hdf5, load_weights, save_weights

MODEL = models.MLP(3, hidden_sizes=(4,))
INPUT = np.zeros((1, 3, 3, 1), np.float32)
VARIABLES = draw(MODEL, INPUT)
HEAD = "layers/dense_1/vars"


@pytest.fixture
def h5(tmp_path):
    path = tmp_path / "x.weights.h5"
    save_weights(path, MODEL, VARIABLES, INPUT)
    return path


@pytest.fixture
def zipped(tmp_path):
    path = tmp_path / "x.keras"
    save_weights(path, MODEL, VARIABLES, INPUT)
    return path


def refuse(path, message: str, *inputs) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(path, MODEL, *inputs)
    assert str(path) in str(caught.value)


# HDF5


def replace_bias(**made):
    """Replace an array; `made` is what h5py makes it of."""

    def spoil(file) -> None:
        del file[f"{HEAD}/1"]
        file.create_dataset(f"{HEAD}/1", **made)

    return spoil


def link_bias(link):
    def spoil(file) -> None:
        del file[f"{HEAD}/1"]
        file[f"{HEAD}/1"] = link

    return spoil


def virtual(file) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    del file[f"{HEAD}/1"]
    file.create_virtual_dataset(f"{HEAD}/1", layout)


def nest(file) -> None:
    group = file["layers"]
    for _ in range(hdf5.MAX_DEPTH + 1):
        group = group.create_group("layers")


def cycle(file) -> None:
    file["layers/again"] = file["layers"]
    file["layers/once_more"] = file["layers"]


def many(file) -> None:
    for number in range(100):
        file.create_group(f"layers/dense_{number + 2}")


def rename(*names: str):
    def spoil(file) -> None:
        for old, new in zip(names[::2], names[1::2], strict=True):
            file.move(old, new)

    return spoil


def call(name):
    def spoil(file) -> None:
        file[HEAD].attrs["name"] = name

    return spoil


def drop(name: str):
    return lambda file: file.pop(name)


def add_layer(file) -> None:
    file["layers/normalization/vars/0"] = np.ones(3, np.float32)


FLOATS = np.ones(3, np.float32)
REFERENCES = [h5py.Reference()] * 3
BAD_HDF5 = [
    (link_bias(h5py.ExternalLink("other.h5", "/x")), "has the link .* not followed"),
    (link_bias(h5py.SoftLink("/layers/dense/vars/1")), "has the link .* not followed"),
    (
        lambda f: (f.pop(HEAD), f.update({HEAD: h5py.SoftLink("/layers/dense/vars")})),
        "has the link .*vars: not followed",
    ),
    (
        replace_bias(shape=(3,), dtype="f4", external=[("other.bin", 0, 12)]),
        "in another file",
    ),
    (virtual, "in another file"),
    (replace_bias(data=FLOATS, compression="gzip"), "compressed, in chunks"),
    (replace_bias(data=FLOATS, chunks=(3,)), "compressed, in chunks"),
    (replace_bias(shape=(1 << 40,), dtype="f4"), "does not hold all of"),
    (replace_bias(shape=(3,), dtype="f4"), "does not hold all of"),
    (replace_bias(data=h5py.Empty("f4")), "has no array at"),
    (link_bias(np.dtype("f4")), "has no array at"),
    (nest, "nests or holds more than any model"),
    (cycle, "nests or holds more than any model"),
    (many, "nests or holds more than any model"),
    (replace_bias(data=np.ones(3, np.int32)), "64 bits, not in int32"),
    (replace_bias(data=np.ones(3, np.uint8)), "64 bits, not in uint8"),
    (replace_bias(data=np.ones(3, np.bool_)), "64 bits, not in bool"),
    (replace_bias(data=np.ones(3, np.complex64)), "64 bits, not in complex64"),
    (replace_bias(data=np.ones(3, np.longdouble)), "64 bits, not in"),
    (replace_bias(data=["a", "b", "c"]), "64 bits, not in|does not hold all of"),
    (replace_bias(data=np.array(["a"] * 3, "S1")), r"64 bits, not in .S1"),
    (replace_bias(data=REFERENCES, dtype=h5py.ref_dtype), "64 bits, not in object"),
    (replace_bias(data=FLOATS[:2]), r"\[2\].*, but the model needs .*\[3\]"),
    (replace_bias(data=FLOATS[:, None]), r"\[3, 1\].*, but the model needs"),
    (drop(f"{HEAD}/1"), "has 'head' .*, but the model needs 'head'"),
    (drop(f"{HEAD}/0"), "are not numbered"),
    (rename(f"{HEAD}/1", f"{HEAD}/01"), "are not numbered"),
    (lambda f: f.update({f"{HEAD}/2": FLOATS}), "has 'head' .*, but the model needs"),
    (lambda f: f[f"{HEAD}"].create_group("2"), "has no array at"),
    (lambda f: f.update({"layers/dense_1/bias": FLOATS}), "where no array belongs"),
    (drop("layers/dense_1"), "lacks a layer like the model's 'head'"),
    (drop("layers"), "lacks a layer like"),
    (add_layer, "has 'normalization' .* which the model has not"),
    (call(3), "by what is no text"),
    (call(["head", "head"]), "by what is no text"),
    (lambda f: f.attrs.update({"layer_names": ["dense"]}), "format of Keras 2"),
    (lambda f: f.create_group("model_weights"), "format of Keras 2"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD_HDF5)
def test_refuses_what_keras_does_not_write(h5, spoil, message, monkeypatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_NODES", 100)
    with h5py.File(h5, "r+") as file:
        spoil(file)
    refuse(h5, message, INPUT)


def test_follows_no_link_to_a_file_that_is_there(h5, tmp_path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = FLOATS
    (tmp_path / "other.bin").write_bytes(FLOATS.tobytes())
    for spoil, _ in BAD_HDF5[:5]:
        save_weights(h5, MODEL, VARIABLES, INPUT)
        with h5py.File(h5, "r+") as file:
            spoil(file)
        refuse(h5, "not followed|in another file", INPUT)


def test_swapped_names_are_followed_and_numbers_ignored(h5) -> None:
    with h5py.File(h5, "r+") as file:
        rename("layers/dense", "layers/x", "layers/dense_1", "layers/dense")(file)
        rename("layers/x", "layers/dense_1")(file)
    same(load_weights(h5, MODEL, INPUT), VARIABLES)


def test_without_names_places_decide(h5) -> None:
    with h5py.File(h5, "r+") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]
    same(load_weights(h5, MODEL, INPUT), VARIABLES)


def test_without_names_numbers_count_only_beside_each_other(tmp_path) -> None:
    """A `dense` in an inner model need not be before the `dense_1` around it."""
    path, model = tmp_path / "x.weights.h5", models.MLP(3, hidden_sizes=(4, 4, 4))
    save_weights(path, model, draw(model, INPUT), INPUT)
    with h5py.File(path, "r+") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]
        file.move("layers/dense_2", "layers/functional/layers/dense")
        file.move("layers/dense_3", "layers/dense_2")
    with pytest.raises(WeightsError, match=r"order of 'layers/dense_1' .*functional"):
        load_weights(path, model, INPUT)


def test_reads_the_other_byte_order_in_this_one(h5) -> None:
    with h5py.File(h5, "r+") as file:
        bias = file[f"{HEAD}/1"][()]
        del file[f"{HEAD}/1"]
        file[f"{HEAD}/1"] = bias.astype(">f4")
    same(load_weights(h5, MODEL, INPUT), VARIABLES)


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"HDF", b"\x89HDF\r\n\x1a\n", b"PK\3\4"]
)
def test_refuses_what_is_neither(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, "cannot be read as", INPUT)
    refuse(tmp_path / name, "cannot be read as|pass an example input")


@pytest.mark.parametrize("of_all", [0.1, 0.5, 0.9, 0.999])
def test_refuses_a_file_that_ends_early(h5, zipped, of_all) -> None:
    for path in (h5, zipped):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * of_all)])
        refuse(path, "cannot be read as", INPUT)


# The zip


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
    same(load_weights(zipped, MODEL), VARIABLES)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_BZIP2) as new:
        for name, data in content.items():
            new.writestr(name, data)
    refuse(zipped, "compressed in a way that Keras never uses")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_needs_each_member_once(zipped, name) -> None:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(zipped, "a") as new:
        new.writestr(name, "{}")
    refuse(zipped, f"has 2 members called {name}")
    rewrite(zipped, **{name: None})
    refuse(zipped, f"has no members called {name}")


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
    refuse(zipped, r"has config\.json encrypted")
    refuse(zipped, r"has model\.weights\.h5 encrypted", INPUT)


def test_does_not_inflate_what_declares_to_be_large(zipped, monkeypatch) -> None:
    monkeypatch.setattr(archive, "SLACK", 1 << 16)
    rewrite(zipped, **{"model.weights.h5": bytes(1 << 18)})
    refuse(zipped, r"in 262,144 bytes, but for this model at most 6\d,\d\d\d are read")
    # By inputs that it gives itself, the model would have room for it.
    config = {"batch_shape": [None, 512, 512, 1], "name": "i", "dtype": "float32"}
    layer = {"class_name": "InputLayer", "config": config}
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        new.writestr("model.weights.h5", bytes(1 << 24))
    refuse(zipped, "in 16,777,216 bytes, but for this model at most [12],")
    monkeypatch.setattr(archive, "MAX_CONFIG", 10)
    refuse(zipped, r"has config\.json in .* bytes, but .* at most 10 are read")


def test_does_not_believe_what_a_zip_declares(zipped) -> None:
    """Says 64 bytes, inflates to a megabyte."""
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("model.weights.h5", bytes(1 << 20))
    content = bytearray(zipped.read_bytes())
    struct.pack_into("<I", content, 22, 64)
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 64)
    zipped.write_bytes(content)
    refuse(zipped, "Bad CRC", INPUT)


def test_members_are_not_extracted(zipped, tmp_path) -> None:
    rewrite(zipped, **{"../out.txt": "x", "/out.txt": "x", "assets/a.txt": "x"})
    same(load_weights(zipped, MODEL), VARIABLES)
    assert [path.name for path in tmp_path.iterdir()] == ["x.keras"]


# The description


def input_layer(**config) -> dict:
    config = {"name": "i", "batch_shape": [None, 3, 3, 1], "dtype": "float32"} | config
    return {"class_name": "InputLayer", "config": config}


def test_runs_nothing_that_is_described(zipped, tmp_path) -> None:
    harm = tmp_path / "harm"
    layers = [
        input_layer(),
        {"module": "os", "class_name": "system", "config": f"touch {harm}"},
        {"class_name": "Lambda", "config": {"function": ["4wAAAAA=", None, None]}},
        {"module": "builtins", "class_name": "eval", "config": f"open({harm}, 'w')"},
    ]
    rewrite(zipped, **{"config.json": json.dumps({"config": {"layers": layers}})})
    same(load_weights(zipped, MODEL), VARIABLES)
    assert not harm.exists()


@pytest.mark.parametrize(
    "order", [["b", 0, 0], [["b", 0, 0]], ["b"], [["b", 0, 0], ["a", 0, 0]]]
)
def test_takes_inputs_in_their_order(zipped, order) -> None:
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
def test_refuses_a_description_without_inputs(zipped, config) -> None:
    rewrite(zipped, **{"config.json": config})
    refuse(zipped, "does not say what the inputs of its model are: pass an example")
    same(load_weights(zipped, MODEL, INPUT), VARIABLES)


@pytest.mark.parametrize(
    "shape", [[None], [], [None, 5, 5, 1], [None] + [(1 << 31) - 1] * 7]
)
def test_refuses_inputs_of_another_model(zipped, shape) -> None:
    layer = input_layer(batch_shape=shape)
    rewrite(zipped, **{"config.json": json.dumps({"config": {"layers": [layer]}})})
    refuse(zipped, "does not take|but the model needs")


@settings(
    max_examples=300,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_damage_of_a_keras_file_is_noticed(zipped, data) -> None:
    """Checksums see to it; files without them, `.weights.h5`, cannot promise that."""
    save_weights(zipped, MODEL, VARIABLES, INPUT)
    content = bytearray(zipped.read_bytes())
    # The description and the directory at the end are small beside the weights.
    somewhere = st.integers(0, len(content) - 1) | st.integers(-400, -1)
    for place in data.draw(st.lists(somewhere, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.none() | somewhere)
    zipped.write_bytes(content[:end])
    try:
        loaded = load_weights(zipped, MODEL)
    except WeightsError:
        return
    same(loaded, VARIABLES)


@settings(
    max_examples=60,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_shorter_weights_file_is_noticed(h5, keep) -> None:
    save_weights(h5, MODEL, VARIABLES, INPUT)
    content = h5.read_bytes()
    h5.write_bytes(content[: int(keep * len(content))])
    refuse(h5, "cannot be read as HDF5", INPUT)


def test_weights_in_a_zip_are_checked_as_those_outside(zipped) -> None:
    with zipfile.ZipFile(zipped) as old:
        buffer = io.BytesIO(old.read("model.weights.h5"))
    with h5py.File(buffer, "r+") as file:
        link_bias(h5py.ExternalLink("other.h5", "/x"))(file)
    rewrite(zipped, **{"model.weights.h5": buffer.getvalue()})
    refuse(zipped, "has the link .* not followed")
