"""Damaged and malicious HDF5 files raise a WeightsError."""

import h5py
import ml_dtypes
import numpy as np
import pytest
from draws import SMALL, SMALL_INPUT, SMALL_VARIABLES, draw, refuse, same

from fdl import models
from fdl.keras import WeightsError, hdf5_contents, load_weights, save_weights

HEAD = "layers/dense_1/vars"


def replace_bias(**arguments):
    """Replace an array; h5py creates the new one from `arguments`."""

    def damage(file) -> None:
        del file[f"{HEAD}/1"]
        file.create_dataset(f"{HEAD}/1", **arguments)

    return damage


def link_bias(link):
    def damage(file) -> None:
        del file[f"{HEAD}/1"]
        file[f"{HEAD}/1"] = link

    return damage


def use_a_virtual_dataset(file) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    del file[f"{HEAD}/1"]
    file.create_virtual_dataset(f"{HEAD}/1", layout)


def nest_groups(file) -> None:
    group = file["layers"]
    for _ in range(hdf5_contents.MAX_DEPTH + 1):
        group = group.create_group("layers")


def add_a_cycle(file) -> None:
    file["layers/again"] = file["layers"]
    file["layers/once_more"] = file["layers"]


def add_many_groups(file) -> None:
    for number in range(100):
        file.create_group(f"layers/dense_{number + 2}")


def rename(*names: str):
    def damage(file) -> None:
        for old, new in zip(names[::2], names[1::2], strict=True):
            file.move(old, new)

    return damage


def set_name(name):
    def damage(file) -> None:
        file[HEAD].attrs["name"] = name

    return damage


def drop(name: str):
    return lambda file: file.pop(name)


def add_layer(file) -> None:
    file["layers/normalization/vars/0"] = FLOATS
    file["layers/normalization/vars"].attrs["name"] = "normal"


FLOATS = np.ones(3, np.float32)
REFERENCES = [h5py.Reference()] * 3
BAD_HDF5 = [
    (link_bias(h5py.ExternalLink("other.h5", "/x")), "has a link at .* not followed"),
    (link_bias(h5py.SoftLink("/layers/dense/vars/1")), "has a link at .* not followed"),
    (
        lambda f: (f.pop(HEAD), f.update({HEAD: h5py.SoftLink("/layers/dense/vars")})),
        "has a link at .*vars, which is not followed",
    ),
    (
        replace_bias(shape=(3,), dtype="f4", external=[("other.bin", 0, 12)]),
        "in another file",
    ),
    (use_a_virtual_dataset, "in another file"),
    (replace_bias(data=FLOATS, compression="gzip"), "compressed, in chunks"),
    (replace_bias(data=FLOATS, chunks=(3,)), "compressed, in chunks"),
    (replace_bias(shape=(1 << 40,), dtype="f4"), "has only part of"),
    (replace_bias(shape=(3,), dtype="f4"), "has only part of"),
    (replace_bias(data=h5py.Empty("f4")), "has no array at"),
    (link_bias(np.dtype("f4")), "has no array at"),
    (nest_groups, "has more groups or levels than any Keras model"),
    (add_a_cycle, "has '/layers/again' in more than one place"),
    (add_many_groups, "has more groups or levels than any Keras model"),
    (replace_bias(data=np.ones(3, np.int32)), "64 bits, not int32"),
    (replace_bias(data=np.ones(3, np.uint8)), "64 bits, not uint8"),
    (replace_bias(data=np.ones(3, np.bool_)), "64 bits, not bool"),
    (replace_bias(data=np.ones(3, np.complex64)), "64 bits, not complex64"),
    (replace_bias(data=np.ones(3, np.longdouble)), "64 bits, not "),
    (replace_bias(data=["a", "b", "c"]), "64 bits, not |has only part of"),
    (replace_bias(data=np.array(["a"] * 3, "S1")), r"64 bits, not .S1"),
    (replace_bias(data=REFERENCES, dtype=h5py.ref_dtype), "64 bits, not object"),
    (replace_bias(data=FLOATS[:2]), r"\[2\].*, but the model needs .*\[3\]"),
    (replace_bias(data=FLOATS[:, None]), r"\[3, 1\].*, but the model needs"),
    (drop(f"{HEAD}/1"), "has 'head' .*, but the model needs 'head'"),
    (drop(f"{HEAD}/0"), "are not numbered"),
    (rename(f"{HEAD}/1", f"{HEAD}/01"), "are not numbered"),
    (lambda f: f.update({f"{HEAD}/2": FLOATS}), "has 'head' .*, but the model needs"),
    (lambda f: f[f"{HEAD}"].create_group("2"), "has no array at"),
    (lambda f: f.update({"layers/dense_1/bias": FLOATS}), "where Keras writes none"),
    (drop("layers/dense_1"), "lacks a layer like the model's 'head'"),
    (drop("layers"), "lacks a layer like"),
    (add_layer, "contains 'normal' .* which the model does not have"),
    (set_name(3), "that is not text"),
    (set_name(["head", "head"]), "that is not text"),
    (lambda f: f.attrs.update({"layer_names": ["dense"]}), "lacks a layer like"),
    (lambda f: f.create_group("model_weights"), "format of Keras 2"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), BAD_HDF5)
def test_refuses_content_that_keras_does_not_write(
    h5, damage, message, monkeypatch
) -> None:
    monkeypatch.setattr(hdf5_contents, "MAX_NODES", 100)
    with h5py.File(h5, "r+") as file:
        damage(file)
    refuse(h5, message, SMALL_INPUT)


def test_links_to_existing_files_are_not_followed(h5, tmp_path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = FLOATS
    (tmp_path / "other.bin").write_bytes(FLOATS.tobytes())
    for damage, _ in BAD_HDF5[:5]:
        save_weights(h5, SMALL, SMALL_VARIABLES, SMALL_INPUT)
        with h5py.File(h5, "r+") as file:
            damage(file)
        refuse(h5, "not followed|in another file", SMALL_INPUT)


def test_names_of_layers_decide_rather_than_numbers_of_groups(h5) -> None:
    with h5py.File(h5, "r+") as file:
        rename("layers/dense", "layers/x", "layers/dense_1", "layers/dense")(file)
        rename("layers/x", "layers/dense_1")(file)
    same(load_weights(h5, SMALL, SMALL_INPUT), SMALL_VARIABLES)


def test_numbers_of_groups_decide_without_names(h5) -> None:
    with h5py.File(h5, "r+") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]
    same(load_weights(h5, SMALL, SMALL_INPUT), SMALL_VARIABLES)


def test_numbers_define_no_order_across_nested_models(tmp_path) -> None:
    """A `dense` in a nested model need not come before the `dense_1` outside."""
    path, model = tmp_path / "x.weights.h5", models.MLP(3, hidden_sizes=(4, 4, 4))
    save_weights(path, model, draw(model, SMALL_INPUT), SMALL_INPUT)
    with h5py.File(path, "r+") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]
        file.move("layers/dense_2", "layers/functional/layers/dense")
        file.move("layers/dense_3", "layers/dense_2")
    with pytest.raises(WeightsError, match=r"order of 'layers/dense_1' .*functional"):
        load_weights(path, model, SMALL_INPUT)


def test_the_other_byte_order_is_converted(h5) -> None:
    with h5py.File(h5, "r+") as file:
        bias = file[f"{HEAD}/1"][()]
        del file[f"{HEAD}/1"]
        file[f"{HEAD}/1"] = bias.astype(">f4")
    same(load_weights(h5, SMALL, SMALL_INPUT), SMALL_VARIABLES)


def test_bfloat16_is_read_and_metrics_are_skipped(h5) -> None:
    with h5py.File(h5, "r+") as file:
        bias = file[f"{HEAD}/1"][()].astype(ml_dtypes.bfloat16)
        del file[f"{HEAD}/1"]
        file.create_dataset(f"{HEAD}/1", data=bias.view("V2"))
        file["metrics/mean/vars/0"] = np.float32(0)  # Keras of TensorFlow 2.13 to 2.15
    with pytest.raises(WeightsError, match=r"not \|V2"):
        load_weights(h5, SMALL, SMALL_INPUT)
    with h5py.File(h5, "r+") as file:
        file[f"{HEAD}/1"].attrs["dtype"] = "bfloat16"
    head = load_weights(h5, SMALL, SMALL_INPUT)["params"]["head"]
    np.testing.assert_array_equal(head["bias"], bias)
