"""Sentences on which Kim (2014) evaluated: how they are read, and their ten folds."""

import dataclasses
import hashlib

import numpy as np
import pytest

from fdl.data import DataError, find, load
from fdl.data.kim import SENTENCES, folds

ROWS = [f"{n % 2} a film of caf\xe9s\x85 it's number {n} ." for n in range(40)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with made-up contents that are accepted as the published ones."""
    folder = tmp_path / "text" / "kim"
    folder.mkdir(parents=True)
    for name, source in SENTENCES.items():
        archive = source.archive
        rows = ROWS
        if name == "trec":
            rows = [f"{n % 6} Who is in {n} ?" for n in range(40)]
        data = ("\n".join(rows) + "\n").encode("latin-1")
        files = []
        for file in archive.files:
            (folder / file.name).write_bytes(data)
            found = hashlib.sha256(data).hexdigest()
            files.append(file._replace(size=len(data), sha256=found))
        archive = archive._replace(files=tuple(files))
        changed = dataclasses.replace(source, archive=archive)
        monkeypatch.setitem(SENTENCES, name, changed)
    return tmp_path


def test_only_newlines_end_a_line(place):
    found = load("mr", data_dir=place, validation=None)
    assert found.info.class_names == ("negative", "positive")
    assert (found.info.train_count, found.info.test_count) == (36, 4)
    first = [found.info.vocabulary[token] for token in found.train.token[0] if token]
    assert first[:5] == ["a", "film", "of", "caf\xe9s", "it's"]
    assert found.info.source == f"original files in {place}/text/kim"


def test_questions_have_their_own_test_part(place):
    found = load("trec", data_dir=place, validation=None)
    assert found.info.class_names[2:4] == ("abbreviation", "human")
    assert found.test.label.tolist() == [n % 6 for n in range(40)]
    with pytest.raises(DataError, match="trec takes no options, but got fold"):
        load("trec?fold=2", data_dir=place)


def test_every_text_is_tested_once_in_ten_folds(place):
    tested = []
    for fold in range(1, 11):
        found = load(f"mr?fold={fold}", data_dir=place, validation=0.1)
        assert np.bincount(found.test.label).tolist() == [2, 2]
        tested += [row.tobytes() for row in found.test.token]
        assert f"mr?fold={fold}" not in found.info.overlaps
        assert len(found.info.overlaps) == (9 if fold == 1 else 10)
    whole = load("mr", data_dir=place, validation=None)
    assert whole.info.overlaps[0] == "mr?fold=2"
    assert find("mr", fold=3).name == "mr?fold=3"
    counts = np.bincount(folds(np.arange(1000) % 3), np.arange(1000) % 3 == 0)[1:]
    assert set(counts) <= {33, 34}
    assert set(np.bincount(folds(np.arange(1000) % 3))[1:]) == {100}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mr?fold=11", "fold=11 must be from 1 to 10"),
        ("mr?fold=0", "fold='0' must be a whole number of at least 1"),
        ("subj?fild=1", r"subj has no option 'fild': .* \(did you mean fold\?\)"),
        ("mrs?fold=1", "there is no dataset named 'mrs'"),
    ],
)
def test_bad_names_are_refused(line, message):
    with pytest.raises(DataError, match=message):
        find(line)


def test_damaged_files_are_refused(place, monkeypatch):
    file = place / "text" / "kim" / "subj.all"
    data = b"1 fine\nfine film\n"
    file.write_bytes(data)
    source = SENTENCES["subj"]
    (row,) = source.archive.files
    with pytest.raises(DataError, match="not the published file: it has 17 bytes"):
        load("subj", data_dir=place)
    found = hashlib.sha256(data).hexdigest()
    row = row._replace(size=len(data), sha256=found)
    archive = source.archive._replace(files=(row,))
    monkeypatch.setitem(SENTENCES, "subj", dataclasses.replace(source, archive=archive))
    with pytest.raises(DataError, match=r"subj\.all: line 2 is not a class and a"):
        load("subj", data_dir=place)


@pytest.mark.full_mnist
def test_published_sentences(full_data_dir):
    if not (full_data_dir / "text" / "kim").is_dir():
        pytest.skip(f"no sentences in {full_data_dir}")
    for name, counts, classes in (
        ("trec", (5_452, 500), [138, 94, 9, 65, 81, 113]),
        ("mr", (9_595, 1_067), [534, 533]),
    ):
        found = load(name, data_dir=full_data_dir, download=False, validation=None)
        assert (found.info.train_count, found.info.test_count) == counts
        assert np.bincount(found.test.label).tolist() == classes
