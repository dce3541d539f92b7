"""`fdl translate`, from a file of word pairs to translations."""

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
    """A folder with pairs of words and their reversals, and a run trained on them."""
    draw = np.random.default_rng(0)
    words = {
        "".join(draw.choice(list(LETTERS), draw.integers(1, 5))) for _ in range(600)
    }
    folder = tmp_path_factory.mktemp("translate")
    lines = [f"{word}\t{word[::-1].upper()}" for word in sorted(words)]
    # Two words have a second correct translation.
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
        batch_size=60,  # divides the 180 examples, so one program
    )
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def test_translations_are_printed_in_order_one_per_line(here, capsys) -> None:
    (here / "more.txt").write_text("ed\nabc\n", "utf-8")
    main(["translate", "run", "ba", "dda", "--file", "more.txt"])
    assert capsys.readouterr().out.splitlines() == ["AB", "ADD", "DE", "CBA"]
    main(["translate", "run", "ba", "--json", "--beam", "1"])
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line.items() >= {"source": "ba", "answer": "AB", "finished": True}.items()
    assert -1 < line["score"] < 0


def test_translations_are_cut_off_at_the_length(here, capsys) -> None:
    main(["translate", "run", "abcd", "a", "--length", "2", "--beam", "1"])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["DC", "A"]
    assert "warning: the answer to 'abcd' is cut off" in captured.err
    assert "--length 0 must be at least 1" in complaint(
        ["translate", "run", "ab", "--length", "0"], capsys
    )


def test_alignments_are_drawn(here, capsys) -> None:
    main(["translate", "run", "abc", "de", "--alignment", "a.svg"])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["CBA", "ED"]
    assert "written to a.svg" in captured.err
    assert (here / "a.svg").read_bytes()[:5] == b"<?xml"
    again = ["translate", "run", "abc", "--alignment", "a.svg"]
    assert "a.svg already exists" in complaint(again, capsys)
    nowhere = ["translate", "run", "abc", "--alignment", "nowhere/a.svg"]
    assert "nowhere is not a folder: create it first" in complaint(nowhere, capsys)
    (here / "many.txt").write_text("ab\n" * 31, "utf-8")
    main([*again, "--file", "many.txt", "--overwrite"])
    assert "written to a.svg: the first 30 of 32 answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
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
def test_bad_input_gets_one_line(here, capsys, words, message) -> None:
    (here / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (here / "empty.txt").write_text("", "utf-8")
    (here / "gap.txt").write_text("ab\n\nba\n", "utf-8")
    assert message in complaint(["translate", "run", *words], capsys)


def test_predict_refers_to_translate(here, capsys) -> None:
    assert "use `fdl translate`" in complaint(["predict", "run", "more.txt"], capsys)


def test_metrics_agree_with_the_translations(here, capsys) -> None:
    run = fdl.load(here / "run")
    test = run.dataset().test
    sources = fdl.data.pairs.source_texts(run.info, test.source)
    right: dict[str, set] = {}
    for word, target in zip(
        sources, fdl.data.pairs.target_texts(run.info, test.target), strict=True
    ):
        right.setdefault(word, set()).add(target)
    assert any(len(some) > 1 for some in right.values()) or len(right) == len(sources)
    main(["translate", "run", *right, "--beam", "1"])
    answers = capsys.readouterr().out.splitlines()
    share = np.mean(
        [a in some for a, some in zip(answers, right.values(), strict=True)]
    )
    assert run.metrics["exact_match"] == pytest.approx(share)
    assert share > 0.8 > run.metrics["baseline_exact_match"]
    assert 0 <= run.metrics["error_rate"] < 0.2 < run.metrics["baseline_error_rate"]
    written = [
        line.split("\t") for line in (here / "run/answers.tsv").read_text().splitlines()
    ]
    assert written[0] == ["source", "target", "right"]
    assert [row[:2] for row in written[1:]] == [
        list(pair) for pair in zip(right, answers, strict=True)
    ]
    for name in ("alignments", "errors_by_length", "confusions", "curves"):
        assert (here / "run" / f"{name}.png").is_file()


def test_an_exported_run_translates_as_its_run_does(here, capsys) -> None:
    run = fdl.load(here / "run")
    main(["export", "run", "--to", "a.stablehlo", "--overwrite"])
    source = fdl.data.pairs.source_tokens(run.info, ["ab", "cad", "bbbb"])
    answers = np.asarray(run.predict(source))
    np.testing.assert_array_equal(fdl.load("a.stablehlo").predict(source), answers)
    capsys.readouterr()
    assert "use `fdl translate`" in complaint(["generate", "run"], capsys)
    error = complaint(["export", "run", "--to", "a.onnx"], capsys)
    assert "export the run as NAME.stablehlo" in error
    main(["summary", "run"])
    assert "AdditiveAttention" in capsys.readouterr().out


def test_a_model_that_keras_lacks_is_refused_with_other_formats(here, capsys) -> None:
    error = complaint(["export", "run", "--to", "a.keras"], capsys)
    assert "a.keras cannot be written for Keras" in error
    assert "Export it as NAME.stablehlo, or the weights as NAME.safetensors." in error
