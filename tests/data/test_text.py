"""The text of the manual that is included in Python."""

import hashlib
import sys

import numpy as np
import pytest

import fdl
from fdl import data
from fdl.data import text


def test_windows_are_the_text_in_order() -> None:
    loaded = data.load("python-docs", validation=None)
    names = np.array(loaded.info.class_names)
    whole = text.join(text._topics().topics)
    assert sorted(set(whole)) == list(names)
    for part, start in ((loaded.train, 0), (loaded.test, len(whole) * 9 // 10)):
        read = "".join(names[part.token.ravel()])
        assert read in whole
        assert abs(whole.index(read) - start) < 2
        after = "".join(names[part.target.ravel()])
        assert after[:-1] == read[1:]
        assert part.token.shape == part.target.shape == (len(part.token), 128)
        assert part.token.dtype == part.target.dtype == np.int32
        assert not part.token.flags.writeable
    assert loaded.info.train_count == len(loaded.train.token) > 1000
    assert loaded.info.test_count == len(loaded.test.token) > 100


def test_no_paragraph_is_in_both_sets() -> None:
    loaded = data.load("python-docs")
    names = np.array(loaded.info.class_names)
    train, test = (
        set("".join(names[part.token.ravel()]).split("\n\n"))
        for part in (loaded.train, loaded.test)
    )
    assert not train & test - {""}
    # Topics repeat paragraphs of each other, which `text.join` removes.
    topics = "\n\n".join(text._topics().topics.values())
    assert len(topics) > 1.1 * len(text.join(text._topics().topics))


def test_info_has_the_version_and_the_contents() -> None:
    info = data.load("python-docs").info
    whole = text.join(text._topics().topics)
    assert info.checksum == hashlib.sha256(whole.encode()).hexdigest()
    assert ".".join(map(str, sys.version_info[:3])) in info.title
    assert info.source.endswith("topics.py")
    assert info.input_shape == (128,)
    assert info.num_classes == len(info.class_names)
    assert info.kind == "text"
    one = data.example(info)
    assert isinstance(one, fdl.Tokens)
    assert one.token.dtype == one.target.dtype == np.int32
    assert one.token.shape == one.target.shape == (1, 128)


def test_the_last_windows_are_held_out() -> None:
    whole = data.load("python-docs", validation=None)
    loaded = data.load("python-docs", validation=0.1)
    for parts in zip(loaded.train, loaded.validation, whole.train, strict=True):
        train, validation, published = parts
        np.testing.assert_array_equal(np.concatenate([train, validation]), published)
        assert np.shares_memory(validation, train.base)
        assert not validation.flags.writeable
    assert loaded.info.validation_count == round(0.1 * whole.info.train_count)
    assert loaded.info.checksum == whole.info.checksum


def test_python_docs_is_listed() -> None:
    assert "python-docs" in data.names()
    (row,) = (row for row in data.status() if row.name == "python-docs")
    assert row.available
    assert row.train_count > 1000


def test_errors_name_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(data.DataError, match="nothing to prepare"):
        data.prepare("python-docs")
    with pytest.raises(data.DataError, match=r"one of mnist, .*, python-docs"):
        data.load("python")
    with pytest.raises(
        data.DataError, match="128 characters is too short for a window of 128"
    ):
        text.windows(np.arange(128))
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    with pytest.raises(data.DataError, match="lacks the module pydoc_data"):
        data.load("python-docs")
    (row,) = (row for row in data.status() if row.name == "python-docs")
    assert not row.available
    assert "full standard library" in row.where
