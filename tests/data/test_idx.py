import gzip

import pytest

from fdl.data import DataError, catalog, load

IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_every_layout_gives_the_same_arrays(
    tmp_path, tiny, write_originals, assert_same, folder, compress, dotted
):
    place = write_originals(
        tmp_path / folder, tiny.splits, compress=compress, dotted=dotted
    )
    data = load("mnist", data_dir=tmp_path, download=False)
    assert_same(data, tiny.splits)
    assert data.info.source == f"original files in {place}"


def test_a_decompressed_file_with_its_old_name_is_read(
    tmp_path, tiny, write_originals, assert_same
):
    write_originals(tmp_path, tiny.splits)
    (tmp_path / IMAGES).write_bytes(gzip.decompress((tmp_path / IMAGES).read_bytes()))
    assert_same(load("mnist", data_dir=str(tmp_path)), tiny.splits)


def _truncate(folder):
    data = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(data[: len(data) // 2])


def _shorten_contents(folder):
    data = gzip.decompress((folder / IMAGES).read_bytes())
    (folder / IMAGES).write_bytes(gzip.compress(data[:-1]))


def _change_one_pixel(folder):
    data = bytearray(gzip.decompress((folder / IMAGES).read_bytes()))
    data[1000] ^= 1
    (folder / IMAGES).write_bytes(gzip.compress(data))


def _save_a_web_page(folder):
    (folder / IMAGES).write_bytes(b"<html>Sign in to the network</html>")


def _empty(folder):
    (folder / IMAGES).write_bytes(b"")


def _swap_images_and_labels(folder):
    (folder / IMAGES).rename(folder / "x")
    (folder / LABELS).rename(folder / IMAGES)
    (folder / "x").rename(folder / LABELS)


def _swap_splits(folder):
    (folder / IMAGES).write_bytes((folder / "t10k-images-idx3-ubyte.gz").read_bytes())


def _remove(folder):
    (folder / IMAGES).unlink()


def _replace_by_a_folder(folder):
    _remove(folder)
    (folder / IMAGES).mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "damaged gzip file"),
        (_shorten_contents, "declares 39200 bytes of data, but holds 39199"),
        (_change_one_pixel, "sha256"),
        (_save_a_web_page, "begins with b'<html>Si'"),
        (_empty, "not an IDX file"),
        (_swap_images_and_labels, r"shape \(50,\).*have shape \(50, 28, 28\)"),
        (_swap_splits, r"shape \(20, 28, 28\).*have shape \(50, 28, 28\)"),
        (_remove, "is missing"),
        (_replace_by_a_folder, "is missing"),
    ],
)
def test_a_damaged_file_in_a_named_folder_is_an_error(
    tmp_path, tiny, write_originals, tiny_prepared, monkeypatch, damage, message
):
    # A good copy elsewhere must not hide the damage.
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny_prepared))
    damage(write_originals(tmp_path / "mnist", tiny.splits))
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", data_dir=tmp_path)
    assert str(tmp_path / "mnist") in str(caught.value)
    assert "train-" in str(caught.value)


def test_fewer_labels_than_images_is_an_error(tmp_path, tiny, write_originals):
    train, test = tiny.splits
    write_originals(tmp_path, (train._replace(label=train.label[:-1]), test))
    with pytest.raises(DataError, match=r"train-labels.*shape \(49,\).*shape \(50,\)"):
        load("mnist", data_dir=tmp_path)


def test_files_of_another_dataset_are_recognized(
    tmp_path, tiny, write_originals, monkeypatch
):
    train, test = tiny.splits
    other = tiny.entry._replace(
        name="fashion_mnist",
        title="Fashion-MNIST",
        train=tiny.entry.train._replace(image=tiny.entry.test.image),
    )
    monkeypatch.setitem(catalog.CATALOG, "fashion_mnist", other)
    write_originals(tmp_path, (train, test))
    with pytest.raises(DataError, match="They are those of MNIST: keep each dataset"):
        load("fashion_mnist", data_dir=tmp_path)
