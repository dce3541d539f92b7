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
    words = sorted(words)[:238]
    lines = [f"{word}\t{word[::-1].upper()}" for word in words]
    lines += [f"{word}\tEEEE" for word in words[:2]]  # also correct
    file = folder / "pairs.tsv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    fdl.runs.train(
        "attention",
        dataset=f"tsv:{file}",
        path=folder / "run",
        epochs=8,
        **SMALL,
        learning_rate=0.03,
        # 160 pairs to train on, and 40 in each of the other parts: one program each.
        batch_size=20,
        validation=0.2,
    )
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def test_translations_are_printed_in_order_one_per_line(here, capsys) -> None:
    (here / "more.txt").write_text("ed\nabc\n", "utf-8")
    command = ["translate", "run", "ba", "dda", "--file", "more.txt"]
    main(command)
    assert capsys.readouterr().out.splitlines() == ["AB", "ADD", "DE", "CBA"]
    main([*command, "--json"])
    line, *others = map(json.loads, capsys.readouterr().out.splitlines())
    assert [other["answer"] for other in others] == ["ADD", "DE", "CBA"]
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


def test_alignments_are_drawn(here, capsys, monkeypatch) -> None:
    command = ["translate", "run", "abc", "de", "--alignment", "a.svg"]
    main(command)
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["CBA", "ED"]
    assert "written to a.svg" in captured.err
    assert (here / "a.svg").read_bytes()[:5] == b"<?xml"
    assert "a.svg already exists" in complaint(command, capsys)
    nowhere = ["translate", "run", "abc", "--alignment", "nowhere/a.svg"]
    assert "nowhere is not a folder: create it first" in complaint(nowhere, capsys)
    monkeypatch.setattr("fdl.cli.translate._DRAWN", 1)
    main([*command, "--overwrite"])
    assert "written to a.svg: the first 1 of 2 answers" in capsys.readouterr().err


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
        (["--file", "empty.txt"], "empty.txt holds no text"),
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
    source = fdl.data.pairs.source_tokens(run.info, ["ba", "dda", "ed", "abc"])
    answers = fdl.load("a.stablehlo").predict(source)
    texts = fdl.data.pairs.target_texts(run.info, answers)
    assert list(texts) == ["AB", "ADD", "DE", "CBA"]
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
