import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fdl.data import DataError, builder, cache, load, prepare, published, tfds

# The tiny MNIST, written by TensorFlow itself: see make_tfrecord.py.
TFRECORD = Path(__file__).parent / "tfrecord"


@pytest.fixture
def root(tmp_path, tiny, tiny_prepared):
    """A TFDS root folder that a test may damage."""
    folder = tmp_path / "root"
    shutil.copytree(tiny_prepared / "mnist", folder / "mnist")
    return folder


@pytest.fixture
def version(root):
    return root / "mnist" / "3.0.1"


def edit_info(version, change):
    file = version / "dataset_info.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


def shard(version, split="train"):
    return next(version.glob(f"mnist-{split}.*"))


def test_array_record_gives_the_published_order(root, version, tiny, assert_same):
    data = load("mnist", data_dir=root)
    assert_same(data, tiny.splits)
    assert data.info.source == f"TFDS directory {version}"


def test_tfrecord_gives_the_published_order(tiny, assert_same):
    data = load("mnist", data_dir=TFRECORD)
    assert data.info.source == f"TFDS directory {TFRECORD / 'mnist' / '3.0.1'}"
    assert_same(data, tiny.splits)


def test_a_truncated_tfrecord_is_an_error(tmp_path, tiny):
    version = tmp_path / "mnist" / "3.0.1"
    shutil.copytree(TFRECORD / "mnist" / "3.0.1", version)
    shard(version).write_bytes(shard(version).read_bytes()[:-20])
    with pytest.raises(DataError, match="split train cannot be decoded"):
        load("mnist", data_dir=tmp_path)


def test_tfds_itself_reads_what_was_prepared(root, version, tiny):
    import tensorflow_datasets as tf_datasets

    by_name = tf_datasets.data_source(
        "mnist", data_dir=root, split="train", download=False
    )
    from_directory = tf_datasets.builder_from_directory(version)
    assert from_directory.info.supervised_keys == ("image", "label")
    train, _ = tiny.splits
    order = tfds._stored_order(50, "train")
    for source in (by_name, from_directory.as_data_source(split="train")):
        np.testing.assert_array_equal(
            [example["image"] for example in source], train.image[order]
        )
        assert [example["label"] for example in source] == [*train.label[order]]


def test_modules_named_in_a_directory_are_not_imported(root, version, monkeypatch):
    file = version / "features.json"
    file.write_text(file.read_text().replace("image_feature.Image", "gift.Image"))
    with pytest.raises(DataError, match=r"features\.gift\.Image', which is not loaded"):
        load("mnist", data_dir=root)
    (version / "dataset_info.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"dataset_info\.json is damaged"):
        load("mnist", data_dir=root)


def test_parquet_is_refused_with_the_reason(root, version, monkeypatch):
    edit_info(version, lambda info: info.update(fileFormat="parquet"))
    with pytest.raises(DataError, match="parquet, which TFDS writes with most of the"):
        load("mnist", data_dir=root)
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    with pytest.raises(DataError, match=r"was not found(?s:.*)parquet, which TFDS"):
        load("mnist", download=False)


def test_an_unfinished_preparation_is_ignored(
    root, version, tiny, write_originals, assert_same
):
    (version / "dataset_info.json").unlink()
    version.rename(version.parent / "incomplete.ABC_3.0.1")
    version.mkdir()
    write_originals(root / "mnist", tiny.splits)
    data = load("mnist", data_dir=root)
    assert_same(data, tiny.splits)
    assert data.info.source.startswith("original files")


def _remove_shard(version):
    shard(version).unlink()


def _truncate_shard(version):
    shard(version).write_bytes(shard(version).read_bytes()[:1000])


def _overwrite_shard(version):
    shard(version).write_bytes(b"\xff" * shard(version).stat().st_size)


def _exchange_records(version):
    content = shard(version, "test").read_bytes()
    shard(version).write_bytes(content + bytes(shard(version).stat().st_size))


def _damage_info(version):
    (version / "dataset_info.json").write_text("{")


def _forget_splits(version):
    edit_info(version, lambda info: info.pop("splits"))


def _lose_examples(version):
    edit_info(version, lambda info: info["splits"][0].update(shardLengths=["3"]))


def _unknown_format(version):
    edit_info(version, lambda info: info.update(fileFormat="riegeli"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove_shard, "split train has 0 files of 0 bytes, expected 1"),
        (_truncate_shard, "split train has 1 files of"),
        (_overwrite_shard, "split train cannot be decoded"),
        (_exchange_records, "split train cannot be decoded"),
        (_damage_info, "dataset_info.json is damaged"),
        (_forget_splits, "dataset_info.json is damaged"),
        (_lose_examples, "expected"),
        (_unknown_format, "'riegeli'"),
    ],
)
def test_a_damaged_directory_is_an_error_if_named_and_otherwise_ignored(
    root, version, tiny, write_originals, assert_same, monkeypatch, damage, message
):
    damage(version)
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", data_dir=root)
    assert str(caught.value).startswith(str(version))
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    monkeypatch.setenv("FDL_DATA_DIR", str(root))
    write_originals(root, tiny.splits)
    assert_same(load("mnist"), tiny.splits)


def test_other_images_in_the_directory_are_an_error(tmp_path, tiny):
    train, test = tiny.splits
    changed = train.image.copy()
    changed[7, 3, 3] ^= 1
    builder.write(tiny.entry, (train._replace(image=changed), test), tmp_path)
    cache.path(tiny.entry).unlink()
    with pytest.raises(DataError, match="not the training images of MNIST: sha256"):
        load("mnist", data_dir=tmp_path)


def test_the_second_load_comes_from_the_cache(root, tiny, assert_same, monkeypatch):
    load("mnist", data_dir=root)
    monkeypatch.setattr(tfds, "_decode", None)
    assert_same(load("mnist", data_dir=root), tiny.splits)


def _garbage(file):
    file.write_bytes(b"garbage")


def _truncated(file):
    file.write_bytes(file.read_bytes()[:-100])


def _one_bit(file):
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)


def _other_arrays(file):
    with np.load(file) as arrays:
        changed = {**arrays, "train_label": arrays["train_label"][::-1]}
    np.savez(file, **changed)


def _pickled(file):
    np.savez(file, train_image=np.array([object()]))


@pytest.mark.parametrize(
    "damage", [_garbage, _truncated, _one_bit, _other_arrays, _pickled]
)
def test_a_damaged_cache_is_ignored_and_rewritten(root, tiny, assert_same, damage):
    load("mnist", data_dir=root)
    file = cache.path(tiny.entry)
    good = file.read_bytes()
    damage(file)
    assert file.read_bytes() != good
    assert_same(load("mnist", data_dir=root), tiny.splits)
    assert cache.read(tiny.entry) is not None
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_an_unwritable_cache_is_not_an_error(
    root, tiny, assert_same, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FDL_CACHE_DIR", str(tmp_path / "file"))
    assert_same(load("mnist", data_dir=root), tiny.splits)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache.folder().name == "cache"
    monkeypatch.delenv("FDL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "fdl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "fdl"


def test_prepare_writes_where_load_looks(
    tmp_path, tiny, write_originals, assert_same, capfd
):
    source = write_originals(tmp_path / "source", tiny.splits)
    version = prepare("mnist", source=source, data_dir=tmp_path / "new")
    assert version == tmp_path / "new" / "mnist" / "3.0.1"
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["mnist"]
    assert capfd.readouterr() == ("", "")
    cache.path(tiny.entry).unlink()  # else the directory itself would not be decoded
    assert_same(load("mnist", data_dir=tmp_path / "new"), tiny.splits)


def test_prepare_finds_the_files_as_load_does(
    tmp_path, tiny, write_originals, isolated, monkeypatch
):
    monkeypatch.setenv("FDL_DATA_DIR", str(tmp_path))
    write_originals(tmp_path / "mnist", tiny.splits)
    assert prepare("mnist") == isolated / "tfds" / "mnist" / "3.0.1"


def test_prepare_overwrites_nothing(root, version, monkeypatch):
    monkeypatch.setattr(published, "_original_files", None)  # checked before reading
    before = shard(version).stat()
    with pytest.raises(DataError, match="MNIST exists already; nothing was written"):
        prepare("mnist", data_dir=root)
    assert shard(version).stat() == before
    (version / "dataset_info.json").unlink()
    with pytest.raises(DataError, match=r"exists but is not complete.*Remove it"):
        prepare("mnist", data_dir=root)
    assert shard(version).stat() == before


def test_a_failed_prepare_leaves_nothing_behind(
    tmp_path, tiny, write_originals, monkeypatch
):
    def full(*args):
        raise OSError("disk is full")

    source = write_originals(tmp_path / "source", tiny.splits)
    root = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setattr(builder, "_move", full)  # after everything has been written
        with pytest.raises(DataError, match=r"cannot be written .disk is full"):
            prepare("mnist", source=source, data_dir=root)
    assert [*root.rglob("*")] == [root / "mnist"]
    prepare("mnist", source=source, data_dir=root)


def test_a_whole_version_that_appears_meanwhile_is_kept(root, version, tiny, tmp_path):
    copy = shutil.copytree(version, tmp_path / "copy")
    builder._move(tiny.entry, copy, version)
    (version / "dataset_info.json").unlink()
    with pytest.raises(OSError, match="not empty"):
        builder._move(tiny.entry, copy, version)


def test_prepare_refuses_with_the_reason(tmp_path, tiny, write_originals):
    with pytest.raises(DataError, match="holds none of the original files"):
        prepare("mnist", source=tmp_path, data_dir=tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        prepare("mnist", source=tmp_path / "nowhere", data_dir=tmp_path)
    with pytest.raises(DataError, match="nothing to prepare"):
        prepare("mnist-5k", data_dir=tmp_path)
    (tmp_path / "file").write_text("not a folder")
    source = write_originals(tmp_path / "source", tiny.splits)
    with pytest.raises(DataError, match="cannot be written"):
        prepare("mnist", source=source, data_dir=tmp_path / "file")
