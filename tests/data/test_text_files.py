"""`text:FILE` and `jsonl:FILE`."""

import json

import numpy as np
import pytest

from fdl.data import DataError, load, status

TEXT = "Naïve cafés, on a line.\n" * 200


def words(tokens, info):
    return "".join(info.class_names[token] for token in np.ravel(tokens))


def test_a_text_comes_back_from_its_windows(tmp_path) -> None:
    file = tmp_path / "book.txt"
    file.write_text(TEXT, encoding="utf-8-sig")
    data = load(f"text:{file}", validation=None)
    info = data.info
    assert (info.kind, info.title, info.input_shape) == ("text", "book", (128,))
    assert info.num_classes == len(set(TEXT))
    train, test = (words(part.token, info) for part in (data.train, data.test))
    assert TEXT.startswith(train)
    cut = len(TEXT) - len(TEXT) // 10
    assert TEXT[cut:].startswith(test)
    assert words(data.train.target, info) == TEXT[1 : len(train) + 1]
    (said,) = status(f"text:{file}")
    assert (said.train_count, said.test_count) == (info.train_count, info.test_count)


@pytest.mark.parametrize("field", ["text", "body"])
def test_lines_of_json_are_one_text(tmp_path, field) -> None:
    file = tmp_path / "posts.jsonl"
    lines = [json.dumps({"id": n, field: f"Post {n} {'x' * 80}"}) for n in range(60)]
    file.write_text("\n".join([*lines, ""]))
    data = load(f"jsonl:{file}", target=None if field == "text" else field)
    found = words(data.train.token, data.info)
    assert found.startswith(f"Post 0 {'x' * 80}\n\nPost 1 x")


@pytest.mark.parametrize(
    ("scheme", "content", "words"),
    [
        ("text", b"caf\xe9 " * 99, "byte 3 is 0xe9"),
        ("text", b"too short", "a text of 9 characters"),
        ("text", None, "cannot be read: No such file"),
        ("jsonl", b'{"text": "a"}\n{"body": "b"}', "line 2: .*its fields are body"),
        ("jsonl", b'{"text": 3}', "line 1: has no text in the field 'text'"),
        ("jsonl", b"[1]", "it is no object"),
        ("jsonl", b"{", "line 1: is no JSON"),
        ("jsonl", b"[" * 100_000, "line 1: is no JSON"),
    ],
)
def test_faults_are_named(tmp_path, scheme, content, words) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=words):
        load(f"{scheme}:{file}")
    (said,) = status(f"{scheme}:{file}")
    assert not said.available
