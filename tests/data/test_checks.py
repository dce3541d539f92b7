import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.arrays import Batch
from fdl.data import DataError, check, check_label, from_arrays

IMAGE = np.zeros((6, 4, 4, 1), np.uint8)
LABEL = np.arange(6)


def _with(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


@pytest.mark.parametrize(
    "data",
    [
        Batch(IMAGE, LABEL),
        Batch(jnp.asarray(IMAGE), jnp.asarray(LABEL)),
        Batch(IMAGE[..., 0].astype(np.float32), LABEL),
        Batch(np.ones((6, 3)), LABEL.astype(np.uint8)),
        Batch(jnp.ones((6, 3), jnp.bfloat16), LABEL),
        Batch(np.linspace(-9, 9, 96).reshape(6, 4, 4, 1), LABEL),  # standardized
        Batch(np.linspace(0, 2, 96).reshape(6, 4, 4, 1), LABEL),  # overshoots
        Batch(np.linspace(0, 99, 18).reshape(6, 3), LABEL),  # features
        (np.full((6, 4, 4, 1), 99.0), np.ones((6, 1))),
        {"inputs": np.arange(6), "targets": [np.ones((6, 2)), np.array([True] * 6)]},
        np.ones(6),
    ],
)
def test_good_data_pass(data):
    check(data, batch_size=6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "there are no arrays"),
        ([1, 2], r"data\[0\] is an int, not an array"),
        ("folder:x", "data is a str, not an array: load the data first"),
        (from_arrays(IMAGE, LABEL % 2), r"a Dataset of .* such as data\.train"),
        ({"a": np.array(["x"])}, "a has dtype <U1"),
        ({"a": np.array([[1], [1, 2]], object)}, "a has dtype object"),
        ({"a": jax.random.split(jax.random.key(0))}, r"a has dtype key<"),
        (np.array(1.0), "data is the single number 1.0"),
        ({"a": np.ones(6), "b": np.ones(5)}, "a has 6, b has 5"),
        (Batch(IMAGE[:5], LABEL), "image has 5, label has 6"),
        (Batch(IMAGE[:0], LABEL[:0]), "the set is empty: image, label"),
        ({"a": _with(np.ones((6, 2)), (3, 1), np.nan)}, "a has 1 values.*row 3"),
        ({"a": _with(np.ones((6, 2)), slice(4, 6), -np.inf)}, "a has 4 .*row 4"),
        ([jnp.full((6, 2), jnp.nan, jnp.bfloat16)], r"data\[0\] has 12 values.*row 0"),
        (Batch(IMAGE.astype(np.int64), LABEL), "image has dtype int64"),
        (Batch(np.ones(6), LABEL), r"image has shape \(6,\)"),
        (Batch(IMAGE[..., 0], LABEL), r"shape \(6, 4, 4\).*image\[\.\.\., None\]"),
        (Batch(IMAGE, np.eye(6, dtype=int)), r"label has shape \(6, 6\).*argmax"),
        (Batch(IMAGE, LABEL * 1.0), "label has dtype float64.*astype"),
        (Batch(IMAGE, LABEL == 0), "label has dtype bool"),
        (Batch(IMAGE, LABEL[:, None]), r"label has shape \(6, 1\).*label\[:, 0\]"),
        (Batch(IMAGE + np.float32(255), LABEL), r"from 255 to 255.*Divide.*Batch"),
        (Batch(jnp.full((6, 4, 4, 1), 2.5), LABEL), r"float32 with values from 2\.5"),
        (Batch(_with(np.ones((6, 4, 4)), (2, 1), 16), LABEL), "from 1 to 16"),
        (Batch(IMAGE.astype(">f4"), LABEL), r"image has dtype >f4.*\('float32'\)"),
        (Batch(IMAGE, LABEL.astype(">i4")), r"label has dtype >i4.*\('int32'\)"),
        ({"a": np.ones((6, 2), ">f8")}, r"a has dtype >f8.*\('float64'\)"),
        (Batch(IMAGE, LABEL - 1), "label has the value -1 in row 0.*1 such"),
    ],
)
def test_bad_data_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        check(data)


def test_labels_out_of_range_are_refused():
    check_label(LABEL, num_classes=6)
    with pytest.raises(DataError, match=r"value 4 in row 4.*0 to 3 \(2 such labels\)"):
        check_label(LABEL, num_classes=4)


@pytest.mark.parametrize("batch_size", [-1, 0, 7])
def test_batch_sizes_out_of_range_are_refused(batch_size):
    with pytest.raises(DataError, match=f"batch_size={batch_size} with 6 examples"):
        check(Batch(IMAGE, LABEL), batch_size=batch_size)
