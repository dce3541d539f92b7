"""`hf:` folders of Parquet files."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fdl.data import DataError, load, status

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(18, 20, 24, 3), dtype=np.uint8)
LABELS = [n % 3 for n in range(18)]


def encoded(pixels, kind="png"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write(file, images, labels, *, struct=True, names=None, **columns):
    data = [{"bytes": one, "path": None} if struct else one for one in images]
    features = {"label": {"names": names, "_type": "ClassLabel"}} if names else {}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": data, "label": labels, **columns})
    pq.write_table(table.replace_schema_metadata(metadata), file)


PNGS = [encoded(pixels) for pixels in IMAGES]


@pytest.mark.parametrize("struct", [True, False])
def test_images_with_names_of_classes(tmp_path, struct):
    names = ["owl", "cat", "yak", "dog"]  # no image is a dog
    write(
        tmp_path / "data/train-00000-of-00002.parquet",
        PNGS[:9],
        LABELS[:9],
        struct=struct,
        names=names,
    )
    write(
        tmp_path / "data/train-00001-of-00002.parquet",
        PNGS[9:12],
        LABELS[9:12],
        struct=struct,
        names=names,
    )
    write(tmp_path / "test/0000.parquet", PNGS[12:], LABELS[12:], struct=struct)
    data = load(f"hf:{tmp_path}", validation=None)
    assert data.info.class_names == ("owl", "cat", "yak")
    np.testing.assert_array_equal(data.train.image, IMAGES[:12])
    np.testing.assert_array_equal(data.test.image, IMAGES[12:])
    np.testing.assert_array_equal(data.test.label, LABELS[12:])
    (found,) = status(f"hf:{tmp_path}")
    assert (found.train_count, found.test_count) == (12, 6)


def test_sizes_channels_and_names_follow_the_rules_of_folders(tmp_path):
    grays = [encoded(pixels[: 20 - n % 2, :, 0]) for n, pixels in enumerate(IMAGES)]
    file = tmp_path / "all.parquet"
    write(file, grays, ["ab"[n % 2] for n in range(18)], id=list(range(18)))
    data = load(f"hf:{file}")
    assert data.info.input_shape == (19, 19, 1)
    assert data.info.class_names == ("a", "b")
    assert load(f"hf:{file}", size="16x8").info.input_shape == (16, 8, 1)


def test_unreadable_rows_and_files_are_refused_by_name(tmp_path):
    file = tmp_path / "a.parquet"
    bad = [*PNGS[:4], PNGS[4][:60], *PNGS[5:]]
    write(file, bad, LABELS, age=list(range(18)))
    with pytest.raises(DataError, match=r"a\.parquet, row 4 cannot be read"):
        load(f"hf:{file}")
    data = load(f"hf:{file}", skip_bad=True, validation=None)
    assert sum(data.info[6:9]) == 17
    with pytest.raises(DataError, match=r"target='breed'.* age .int64"):
        load(f"hf:{file}?target=breed")
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        load(f"hf:{file}")
    with pytest.raises(DataError, match="has no Parquet files"):
        load(f"hf:{(tmp_path / 'empty').mkdir() or tmp_path / 'empty'}")
