"""Texts with classes, from every kind of source."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_tfds import write_tfds

from fdl.data import DataError, as_tokens, describe, from_arrays, load, read_texts
from fdl.data.words import words

GOOD, BAD = "A fine film, really!", "What a dull, dull film"
TEXTS = [f"{GOOD} Take {n}." if n % 2 else BAD for n in range(24)]
LABELS = ["good" if n % 2 else "bad" for n in range(24)]


def write_csv(folder):
    rows = [
        f'{n},"{t}",{y}' for n, (t, y) in enumerate(zip(TEXTS, LABELS, strict=True))
    ]
    (folder / "a.csv").write_text("\n".join(["id,review,mood", *rows]), "utf-8")
    return f"csv:{folder}/a.csv?target=mood&text=review", {}


def write_jsonl(folder):
    rows = [
        json.dumps({"review": t, "mood": y}) for t, y in zip(TEXTS, LABELS, strict=True)
    ]
    (folder / "a.jsonl").write_text("\n\n".join(rows), "utf-8")
    return f"jsonl:{folder}/a.jsonl?target=mood&text=review", {}


def write_parquet(folder):
    names = json.dumps({"info": {"features": {"mood": {"names": ["bad", "good"]}}}})
    numbers = [int(y == "good") for y in LABELS]
    table = pa.table({"id": list(range(24)), "review": TEXTS, "mood": numbers})
    pq.write_table(
        table.replace_schema_metadata({"huggingface": names}), folder / "a.parquet"
    )
    return f"hf:{folder}/a.parquet?target=mood", {}


def write_prepared(folder):
    from tensorflow_datasets import features

    described = {
        "review": features.Text(),
        "label": features.ClassLabel(names=("bad", "good")),
    }
    rows = [(n, {"review": TEXTS[n], "label": LABELS[n]}) for n in range(24)]
    splits = {"train": rows, "unsupervised": rows}
    write_tfds(folder, described, splits, "films", inputs="review")
    return "tfds:films", {"data_dir": folder}


@pytest.mark.parametrize(
    "write", [write_csv, write_jsonl, write_parquet, write_prepared]
)
def test_every_source_gives_the_same_texts(write, tmp_path):
    line, where = write(tmp_path)
    found = load(line, validation=None, **where)
    info = found.info
    assert (info.kind, info.class_names) == ("document", ("bad", "good"))
    assert (info.train_count, info.test_count) == (20, 4)
    assert info.columns == ("review",)
    # The longest text has nine words: "A fine film , really ! Take 1 ."
    assert info.input_shape == (9,)
    assert set(info.vocabulary) >= {"[PAD]", "[UNK]", "film", ",", "dull"}
    assert "11" not in info.vocabulary  # it occurs once
    for part in (found.train, found.test):
        assert set(part.label) == {0, 1}
        for token, label in zip(part.token, part.label, strict=True):
            text = [info.vocabulary[number] for number in token if number]
            assert text[: 3 + 3 * label] == words((BAD, GOOD)[label])[: 3 + 3 * label]
    assert "no test part" in info.source
    assert found.train.token.dtype == np.int32
    assert not found.train.token.flags.writeable


def test_the_vocabulary_comes_from_the_training_part():
    test = (["an odd odd movie", "odd", "a b c"], ["bad", "good", "good"])
    found = from_arrays(TEXTS, LABELS, test=test)
    assert "odd" not in found.info.vocabulary
    assert found.test.token[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert found.info.test_count == 3
    description = str(describe(found))
    assert "words" in description
    assert "12" in description  # texts of each class


def test_long_texts_are_cut_and_rare_words_are_unknown(monkeypatch):
    from fdl.data import words as module

    monkeypatch.setattr(module, "_LONGEST", 4)
    monkeypatch.setattr(module, "_MOST_WORDS", 5)
    info = from_arrays(TEXTS, LABELS).info
    assert info.input_shape == (4,)
    assert info.vocabulary == ("[PAD]", "[UNK]", ",", "a", "dull")
    assert as_tokens([BAD], info).tolist() == [[1, 3, 4, 2]]


def test_scripts_without_spaces_are_split_into_characters():
    assert words("No spaces: 很好。ですか don\u2019t") == [
        *("no", "spaces", ":", "很", "好", "。", "で", "す", "か", "don\u2019t")
    ]
    found = from_arrays(["很好", "不好"] * 6, [1, 0] * 6)
    assert found.info.vocabulary == ("[PAD]", "[UNK]", "好", "不", "很")


def test_new_texts_are_read_from_the_column_of_the_training_data(tmp_path):
    line, _ = write_jsonl(tmp_path)
    info = load(line).info
    write_csv(tmp_path)
    (tmp_path / "one.txt").write_text("one text\nof two lines", "utf-8")
    assert read_texts(tmp_path / "a.csv", info) == TEXTS
    assert read_texts(tmp_path / "a.jsonl", info) == TEXTS
    assert read_texts(tmp_path / "one.txt", info) == ["one text\nof two lines"]
    (tmp_path / "b.csv").write_text("text,mood\nx,y\n", "utf-8")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    for file, message in (
        (
            "b.csv",
            "has no column 'review', where the texts are to be; it has text, mood",
        ),
        ("c.txt", "cannot be read as text in UTF-8"),
        ("d.txt", "cannot be read as text in UTF-8"),
    ):
        with pytest.raises(DataError, match=message):
            read_texts(tmp_path / file, info)
    with pytest.raises(DataError, match="text 2 of 2 has no words: ' '"):
        as_tokens(["a", " "], info)


@pytest.mark.parametrize(
    ("line", "content", "message"),
    [
        ("csv:{}?target=y", "", "more than 100: .* name it with --text"),
        ("csv:{}?target=y&text=z", "", "no column 'z' besides the target: set --text"),
        ("csv:{}?target=y&text=x", "\n,1", "text 121 of 121 has no words: ''"),
        ("jsonl:{}?target=y", '{"text": "a"}', "a JSON object with a text 'text' and"),
        ("jsonl:{}?target=y", "\n", "a has no texts"),
        ("jsonl:{}?target=y", '{"text": "a", "y": 0.5}', "of text 1 is 0.5, not a"),
        (
            "jsonl:{}?target=y",
            '{"text": "a", "y": "b"}\n{"text": "a", "y": 1}',
            "of text 2 is 1, not a name",
        ),
        (
            "jsonl:{}?target=y",
            '{"text": "a", "y": 1}\n{"text": "b", "y": 1}',
            "only one class",
        ),
    ],
)
def test_bad_texts_are_refused(line, content, message, tmp_path):
    rows = "".join(f"\nword {n} word,{n % 2}" for n in range(120))
    text = f"x,y{rows}{content}" if line.startswith("csv") else content
    (tmp_path / "a").write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        load(line.format(tmp_path / "a"))
