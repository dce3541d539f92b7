"""Pairs of words, from a file to answers."""

import json

import numpy as np
import pytest
from shell import complaint

import fdl
from fdl.cli import main

SMALL = {"hidden_size": 24, "features": 12, "attention_size": 12}
LETTERS = "abcde"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with words written backwards, and a run that has learned from them."""
    draw = np.random.default_rng(0)
    words = {
        "".join(draw.choice(list(LETTERS), draw.integers(1, 5))) for _ in range(600)
    }
    folder = tmp_path_factory.mktemp("translate")
    lines = [f"{word}\t{word[::-1].upper()}" for word in sorted(words)]
    # Two words have a second right answer.
    lines += [f"{word}\tEEEE" for word in sorted(words)[:2]]
    file = folder / "pairs.tsv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    fdl.runs.train(
        "attention",
        dataset=f"tsv:{file}",
        path=folder / "run",
        epochs=20,
        **SMALL,
        learning_rate=0.03,
        batch_size=60,  # divides the 180 examples: one program
    )
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def test_it_answers_in_order_a_line_each(here, capsys) -> None:
    (here / "more.txt").write_text("ed\nabc\n", "utf-8")
    main(["translate", "run", "ba", "dda", "--file", "more.txt"])
    assert capsys.readouterr().out.splitlines() == ["AB", "ADD", "DE", "CBA"]
    main(["translate", "run", "ba", "--json", "--beam", "1"])
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line.items() >= {"source": "ba", "answer": "AB", "finished": True}.items()
    assert -1 < line["score"] < 0


def test_answers_are_as_long_as_they_may_be(here, capsys) -> None:
    main(["translate", "run", "abcd", "a", "--length", "2", "--beam", "1"])
    said = capsys.readouterr()
    assert said.out.splitlines() == ["DC", "A"]
    assert "warning: the answer to 'abcd' is cut off" in said.err
    assert "--length 0 must be at least 1" in complaint(
        ["translate", "run", "ab", "--length", "0"], capsys
    )


def test_it_draws_what_was_attended_to(here, capsys) -> None:
    main(["translate", "run", "abc", "de", "--alignment", "a.svg"])
    said = capsys.readouterr()
    assert said.out.splitlines() == ["CBA", "ED"]
    assert "written to a.svg" in said.err
    assert (here / "a.svg").read_bytes()[:5] == b"<?xml"
    again = ["translate", "run", "abc", "--alignment", "a.svg"]
    assert "a.svg already exists" in complaint(again, capsys)
    nowhere = ["translate", "run", "abc", "--alignment", "nowhere/a.svg"]
    assert "nowhere is not a folder: create it first" in complaint(nowhere, capsys)
    (here / "many.txt").write_text("ab\n" * 31, "utf-8")
    main([*again, "--file", "many.txt", "--overwrite"])
    assert "written to a.svg: the first 30 of 32 answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to translate"),
        (["ab", "--beam", "0"], "--beam 0 must be at least 1"),
        (["ab", "--alpha", "-1"], "--alpha -1.0 must be at least 0"),
        (["ab", ""], "text 2 of 2 is empty: ''"),
        (["abx"], "'abx', has the letter 'x'"),
        (["ab", "--alignment", "b.jpg"], "b.jpg must end with one of .png"),
        (["--file", "missing.txt"], "missing.txt"),
        (["--file", "empty.txt"], "text 1 of 1 is empty: ''"),
        (["--file", "gap.txt"], "text 2 of 3 is empty: '': leave it out"),
        (["--file", "latin.txt"], "latin.txt cannot be read as text in UTF-8"),
    ],
)
def test_bad_input_is_a_line(here, capsys, words, said) -> None:
    (here / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (here / "empty.txt").write_text("", "utf-8")
    (here / "gap.txt").write_text("ab\n\nba\n", "utf-8")
    assert said in complaint(["translate", "run", *words], capsys)


def test_a_run_tells_how_it_is_asked(here, capsys) -> None:
    assert "use `fdl translate`" in complaint(["predict", "run", "more.txt"], capsys)


def test_what_is_measured_is_what_it_answers(here, capsys) -> None:
    run = fdl.load(here / "run")
    test = run.dataset().test
    asked = fdl.data.pairs.source_texts(run.info, test.source)
    right: dict[str, set] = {}
    for word, target in zip(
        asked, fdl.data.pairs.target_texts(run.info, test.target), strict=True
    ):
        right.setdefault(word, set()).add(target)
    assert any(len(some) > 1 for some in right.values()) or len(right) == len(asked)
    main(["translate", "run", *right, "--beam", "1"])
    answers = capsys.readouterr().out.splitlines()
    share = np.mean(
        [a in some for a, some in zip(answers, right.values(), strict=True)]
    )
    assert run.metrics["exact_match"] == pytest.approx(share)
    assert share > 0.8 > run.metrics["baseline_exact_match"]
    assert 0 <= run.metrics["error_rate"] < 0.2 < run.metrics["baseline_error_rate"]
    told = [
        line.split("\t") for line in (here / "run/answers.tsv").read_text().splitlines()
    ]
    assert told[0] == ["source", "target", "right"]
    assert [row[:2] for row in told[1:]] == [
        list(pair) for pair in zip(right, answers, strict=True)
    ]
    for name in ("alignments", "errors_by_length", "confusions", "curves"):
        assert (here / "run" / f"{name}.png").is_file()


def test_its_answers_are_exported(here, capsys) -> None:
    run = fdl.load(here / "run")
    main(["export", "run", "--to", "a.stablehlo", "--overwrite"])
    source = fdl.data.pairs.source_tokens(run.info, ["ab", "cad", "bbbb"])
    answers = np.asarray(run.predict(source))
    np.testing.assert_array_equal(fdl.load("a.stablehlo").predict(source), answers)
    capsys.readouterr()
    assert "use `fdl translate`" in complaint(["generate", "run"], capsys)
    said = complaint(["export", "run", "--to", "a.onnx"], capsys)
    assert "export the run as NAME.stablehlo" in said
    main(["summary", "run"])
    assert "AdditiveAttention" in capsys.readouterr().out


def test_a_model_that_keras_cannot_hold_has_other_formats(here, capsys) -> None:
    said = complaint(["export", "run", "--to", "a.keras"], capsys)
    assert "a.keras cannot be written for Keras" in said
    assert "Export it as NAME.stablehlo, or the weights as NAME.safetensors." in said
