"""Pairs that are published, or drawn from what a package knows."""

import datetime
import gzip
import hashlib
import sys

import pytest

from fdl.arrays import PAD
from fdl.data import DataError, bucketed, load, pairs, published_pairs, status
from fdl.data.archives import File
from fdl.data.published_pairs import PAIRS

DICTIONARY = """\
'bout B AW1 T
a.m. EY2 EH1 M
abc EY1 B IY2 S IY1
read R EH1 D
read(2) R IY1 D # the present
read(3) R EH2 D
knight N AY1 T
night N AY1 T
zig-zag Z IH1 G Z AE2 G
antidisestablishmentarian AE2 N T AY0
no N OW1
"""


@pytest.fixture
def published(monkeypatch):
    """Replaces the published files of a dataset by others."""

    def replace(name, contents):
        files = tuple(
            File(file, len(data), hashlib.sha256(data).hexdigest(), "http://127.0.0.1/")
            for file, data in contents.items()
        )
        own = PAIRS[name]
        archive = own.archive._replace(files=files)
        source = type(own)(name, archive, columns=own.columns, units=own.units)
        monkeypatch.setitem(PAIRS, name, source)
        return source

    return replace


@pytest.fixture
def dictionary(published, monkeypatch):
    monkeypatch.setattr(published_pairs, "_TEST_WORDS", 2)
    monkeypatch.setattr(published_pairs, "_VALIDATION_WORDS", 1)
    published("cmudict", {"cmudict.dict": DICTIONARY.encode()})
    return DICTIONARY.encode()


def spoken(data, part):
    words = pairs.source_texts(data.info, part.source)
    return list(zip(words, pairs.target_texts(data.info, part.target), strict=True))


@pytest.mark.parametrize("folder", ["cmudict", "text/cmudict", ""])
def test_a_dictionary_is_read_without_stress(dictionary, tmp_path, folder) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "cmudict.dict").write_bytes(dictionary)
    data = load("cmudict", data_dir=tmp_path)
    assert "1 entries of more than 20 letters or 19 phones left out" in data.info.source
    assert data.info.units == ("letters", "words")
    assert data.info.columns == ("word", "phones")
    # Of six words, by their sha256: whatever else is in the dictionary.
    order = sorted(
        ["'bout", "abc", "read", "knight", "night", "no"],
        key=lambda word: hashlib.sha256(word.encode()).digest(),
    )
    parts, _ = PAIRS["cmudict"].archive.read({"cmudict.dict": dictionary})
    assert {*parts["test"].inputs} == {*order[:2]}
    assert {*parts["validation"].inputs} == {order[2]}
    assert {*parts["train"].inputs} == {*order[3:]}
    assert data.info.test_count == len(parts["test"].inputs)
    every = [
        each
        for part in parts.values()
        for each in zip(part.inputs, part.targets, strict=True)
    ]
    readings = [phones for word, phones in every if word == "read"]
    assert readings == ["R EH D", "R IY D"]  # once each, without stress
    assert dict(every)["'bout"] == "B AW T"
    assert len(load("cmudict", data_dir=tmp_path, validation=None).train.source) == (
        len(data.train.source) + len(data.validation.source)
    )


def test_the_dictionary_of_a_package_is_read_without_importing_it(
    dictionary, tmp_path, monkeypatch
) -> None:
    with pytest.raises(DataError, match="pip install spoken"):
        _of_package("spoken").load(None, download=False)
    assert _of_package("spoken").status(None).where.endswith("or pip install spoken")
    (tmp_path / "spoken" / "data").mkdir(parents=True)
    (tmp_path / "spoken" / "__init__.py").write_text("raise ImportError")
    (tmp_path / "spoken" / "data" / "cmudict.dict").write_bytes(dictionary)
    info = tmp_path / "spoken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: spoken\nVersion: 1.0\n"
    )
    (info / "RECORD").write_text("spoken/__init__.py,,\nspoken/data/cmudict.dict,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    data = _of_package("spoken").load(None, download=False)
    assert str(tmp_path / "spoken" / "data") in data.info.source
    assert _of_package("spoken").status(None).available
    assert "spoken" not in sys.modules
    (tmp_path / "spoken" / "data" / "cmudict.dict").write_bytes(dictionary[:-1] + b" ")
    with pytest.raises(DataError, match="not the published file"):
        _of_package("spoken").load(None, download=False)


def _of_package(package):
    own = PAIRS["cmudict"]
    return type(own)(
        "cmudict", own.archive, columns=own.columns, units=own.units, package=package
    )


def test_captions_are_read_in_lower_case(published, tmp_path) -> None:
    german = {"train": "Ein Hund.\nEin Hund läuft!\n", "val": "Ein Tier.\n"}
    english = {"train": "A dog.\nA dog runs!\n", "val": "An animal.\n"}
    contents = {
        f"{name}.{language}.gz": gzip.compress(text.encode())
        for language, texts in (("de", german), ("en", english))
        for name, text in (texts | {"test_2016_flickr": texts["train"]}).items()
    }
    published("multi30k-de-en", contents)
    (tmp_path / "multi30k").mkdir()
    for name, content in contents.items():
        (tmp_path / "multi30k" / name).write_bytes(content)
    data = load("multi30k-de-en", data_dir=tmp_path)
    assert data.info.vocabulary[4:] == ("ein", "hund")
    assert data.info.class_names[4:] == ("a", "dog")
    assert data.references.tolist() == ["a dog .", "a dog runs !"]
    assert data.validation.source.tolist() == [[4, 3, 3, PAD]]
    assert pairs.source_tokens(data.info, ["Ein Hund"]).tolist() == [[4, 5, PAD, PAD]]


@pytest.fixture(scope="module")
def text_dir(full_data_dir):
    if not (full_data_dir / "text" / "cmudict" / "cmudict.dict").is_file():
        pytest.skip(f"no pairs in {full_data_dir / 'text'}: set FDL_TEST_DATA_DIR")
    return full_data_dir


def test_cmudict_is_the_published_one_and_buckets_save_most_padding(text_dir) -> None:
    data = load("cmudict", data_dir=text_dir, download=False)
    info = data.info
    assert (info.train_count, info.validation_count, info.test_count) == (
        *(117_988, 2_839),
        12_838,
    )
    words = [len({row.tobytes() for row in part.source}) for part in data[:3]]
    assert words == [110_254, 2_670, 12_000]
    assert len(info.class_names) == 4 + 39
    assert info.input_shape == (info.target_length,) == (20,)
    assert spoken(data, data.test)[:2] == [
        ("'course", "K AO R S"),
        ("'round", "R AW N D"),
    ]
    assert data.held_out is None
    real = sum((tokens != PAD).sum() for tokens in data.train)
    padded = sum(tokens.size for part in bucketed(data.train).parts for tokens in part)
    assert padded / real < 1.15
    assert sum(tokens.size for tokens in data.train) / real > 2.6  # as one bucket


def test_multi30k_is_the_published_one(text_dir) -> None:
    data = load("multi30k-de-en", data_dir=text_dir, download=False)
    info = data.info
    assert (info.train_count, info.validation_count, info.test_count) == (
        *(29_000, 1_014),
        1_000,
    )
    assert data.references[0] == "a man in an orange hat starring at something ."
    unknown = (data.test.source == 3).sum() / (data.test.source != PAD).sum()
    assert 0.03 < unknown < 0.04


@pytest.fixture
def dates(monkeypatch):
    pytest.importorskip("babel", reason="the extra dates is not installed")
    from fdl.data import dates

    monkeypatch.setattr(dates, "COUNTS", {"train": 400, "validation": 40, "test": 60})
    return dates


def test_dates_are_the_same_each_time_and_each_in_one_part(dates) -> None:
    data = load("dates")
    assert data.info.checksum == load("dates").info.checksum
    assert data.info.target_length == len("2021-03-03") + 1
    parts = [{tuple(row) for row in part.target.tolist()} for part in data[:3]]
    assert [len(part) for part in parts] == [400, 40, 60]
    assert len(set.union(*parts)) == 500
    assert all(map(datetime.date.fromisoformat, data.references))
    assert status("dates")[0].available


def test_a_date_in_words_has_one_answer(dates) -> None:
    meant: dict[str, set[int]] = {}
    for ways in dates.styles().values():
        for pattern, locale in ways:
            for month in range(1, 13):
                day = datetime.date(2022, month, 22)
                text = dates.write(day, pattern, locale)
                assert sorted(text.replace("2022", "").split("22")) != [text], text
                meant.setdefault(text, set()).add(month)
    assert len(meant) > 1_000
    # With the month in words or signs, days and months cannot be taken for each other.
    assert not [text for text, months in meant.items() if len(months) > 1]
    assert [text for text in meant if not any(map(str.isalpha, text))] == [
        f"2022-{month:02}-22" for month in range(1, 13)
    ]


def test_dates_are_written_as_english_does(dates) -> None:
    day = datetime.date(2021, 3, 3)
    written = {dates.write(day, *way) for way in dates.styles()["en"]}
    assert written >= {
        "3 march 2021",
        "march 3, 2021",
        "3 mar 2021",
        "wed, 3 mar 2021",
        "wednesday, march 3, 2021",
        "2021-03-03",
    }
    german = {dates.write(day, *way) for way in dates.styles()["de"]}
    assert "mittwoch, 3. märz 2021" in german
    info = load("dates").info
    (row,) = pairs.source_tokens(info, ["Wed, 3\u202fMar 2021"])
    assert pairs.source_texts(info, row[None]) == ["wed, 3 mar 2021"]


def test_dates_say_what_they_need(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(DataError, match=r"package Babel: .*pip install 'fdl\[dates\]'"):
        load("dates")
    (found,) = status("dates")
    assert not found.available
    assert "pip install babel" in found.where
