"""Texts and tables, from a file to predictions."""

import csv
import json

import flax.linen as nn
import numpy as np
import pytest
from shell import complaint

import fdl
from fdl.cli import main

# Of 60 examples, 40 to train on and 10 in each of the other parts: one program each.
EVEN = {"validation": 0.2, "batch_size": 20}
TEXTS = ["a fine film", "a dull film", "very fine, really", "so dull!"] * 15
SMALL = (
    "--features 8 --num-heads 1 --num-layers 1 --learning-rate 0.03 "
    "--validation 0.2 --batch-size 20"
).split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with a table of texts."""
    monkeypatch.chdir(tmp_path)
    rows = [f'"{text}",{("good", "bad")[n % 2]}' for n, text in enumerate(TEXTS)]
    (tmp_path / "films.csv").write_text("\n".join(["review,mood", *rows]), "utf-8")
    return tmp_path


class Bag(nn.Module):
    """A user's model: a linear classifier of the mean of word embeddings."""

    num_classes: int

    @nn.compact
    def __call__(self, token):
        return nn.Dense(self.num_classes)(nn.Embed(50, 8)(token).mean(axis=1))


def test_texts_from_a_table_to_predictions(here, capsys) -> None:
    data = ("--dataset", "csv:films.csv", "--text", "review", "--target", "mood")
    main(["train", "text-classifier", *data, *SMALL, "--epochs", "4", "--run", "a"])
    config = json.loads((here / "a/config.json").read_text())
    assert config["dataset"] == f"csv:{here}/films.csv?target=mood&text=review"
    assert "dull" in config["data"]["vocabulary"]
    capsys.readouterr()
    main(["eval", "a"])
    assert "test accuracy 100.00%" in capsys.readouterr().out

    (here / "new.csv").write_text("n,review\n1,very fine\n2,dull dull\n", "utf-8")
    main(["predict", "a", "new.csv", "--text", "A dull one?", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["good", "bad", "bad"]
    assert [line["file"] for line in lines] == [
        "new.csv[0]",
        "new.csv[1]",
        "A dull one?",
    ]
    main(["predict", "a", "new.csv", "--text", "A dull one?"])
    assert "good" in capsys.readouterr().out

    main(["export", "a", "--to", "a.stablehlo"])
    main(["predict", "a.stablehlo", "new.csv", "--to", "predictions.csv"])
    with open("predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["good", "bad"]
    for row, line in zip(rows, lines, strict=False):
        assert float(row["p(good)"]) == pytest.approx(line["probabilities"][1], 1e-3)
    capsys.readouterr()
    line = complaint(["predict", "a", "new.csv", "--to", "predictions.csv"], capsys)
    assert "predictions.csv already exists" in line
    assert "text 1 of 1 has no words" in complaint(
        ["predict", "a", "--text", ""], capsys
    )

    assert "there is no file a dull one: pass a text with --text" in complaint(
        ["predict", "a", "a dull one"], capsys
    )

    own = fdl.runs.train(
        "classify", model=Bag, dataset=config["dataset"], epochs=1, **EVEN
    )
    assert own.predict(fdl.data.as_tokens(["a film"], own.info)).shape == (1, 2)
    for task, words in (("transformer", "takes images"), ("text-classifier", "texts")):
        with pytest.raises(fdl.data.DataError, match=words):
            fdl.runs.train(task, dataset="csv:films.csv?target=mood")


def test_rows_of_a_table_to_predictions(here, capsys) -> None:
    rows = [f"{n},{('x', 'y')[n % 2]},{('no', 'yes')[n // 30]}" for n in range(60)]
    (here / "t.csv").write_text("\n".join(["a,b,c", *rows]), "utf-8")
    (here / "new.csv").write_text("b,a,c\ny,33,?\nx,2,?\n", "utf-8")
    quick = {"epochs": 8, "learning_rate": 0.1, "hidden_sizes": (), **EVEN}
    predictions = {}
    for task, target in (("mlp", "c"), ("regress", "a")):
        dataset, path = f"csv:t.csv?target={target}", f"runs/{task}"
        fdl.runs.train(task, dataset=dataset, path=path, **quick)
        if target == "a":
            (here / "new.csv").write_text("c,b\nyes,x\nno,y\n", "utf-8")
        main(["predict", path, "new.csv", "--json", "--to", f"{task}.csv"])
        lines = capsys.readouterr().out.splitlines()
        predictions[task] = [json.loads(line) for line in lines]
    assert [line["name"] for line in predictions["mlp"]] == ["yes", "no"]
    assert [line["file"] for line in predictions["mlp"]] == ["new.csv[0]", "new.csv[1]"]
    first, second = predictions["regress"]
    assert first["name"] == "a"
    assert first["number"] - second["number"] == pytest.approx(30, abs=6)
    written = (here / "regress.csv").read_text().splitlines()
    assert written[0] == "file,a"
    assert float(written[1].split(",")[1]) == pytest.approx(first["number"], 1e-4)
    main(["predict", "runs/regress", "new.csv"])
    assert f"{first['number']:.6g}" in capsys.readouterr().out
    for words, message in (
        (["new.csv", "--text", "a"], "does not take texts"),
        (["films.csv"], "has no column for 'b=x'; columns: review"),
    ):
        assert message in complaint(["predict", "runs/regress", *words], capsys)


def test_rows_without_column_names(here, capsys, monkeypatch) -> None:
    x = np.arange(120, dtype=np.float32).reshape(60, 2)
    np.savez("v.npz", x=x, y=np.arange(60) // 30)
    fdl.runs.train("mlp", dataset="npz:v.npz", epochs=1, path="v", **EVEN)
    np.save("new.npy", x[:3])
    main(["predict", "v", "new.npy", "--json"])
    assert len(capsys.readouterr().out.splitlines()) == 3
    np.save("other.npy", x[:, :1])
    for file, message in (
        ("other.npy", "holds float32[60, 1]: expected rows of 2 numbers, as in v"),
        ("films.csv", "have no names, so a table cannot be matched to them"),
    ):
        assert message in complaint(["predict", "v", file], capsys)
    predict = lambda run, inputs: np.float32([[0.5, 0.5], [np.nan, 1], [0.5, 0.5]])
    monkeypatch.setattr(fdl.runs.Run, "predict", predict)
    error = complaint(["predict", "v", "new.npy"], capsys)
    assert "the prediction of v for new.npy[1] is not finite" in error


def test_another_folder_takes_image_size_and_classes_from_the_run(here, capsys) -> None:
    from PIL import Image

    def paint(root, size, counts):
        for name, count in counts.items():
            (here / root / name).mkdir(parents=True)
            for number in range(count):
                level = {"day": 240, "night": 10}.get(name, 99) + number
                picture = Image.new("RGB", size, (level, level, level))
                picture.putpixel((1, 1), (255 - level,) * 3)
                picture.save(here / root / name / f"{number}.png")

    paint("own", (9, 9), {"day": 6, "night": 6})
    paint("other", (20, 20), {"night": 3})
    paint("new", (9, 9), {"dusk": 3, "night": 3})
    quick = ("--epochs", "8", "--learning-rate", "0.01", "--run", "a")
    main(["train", "mlp", "--dataset", "folder:own", *quick])
    capsys.readouterr()
    main(["eval", "a", "--dataset", "folder:other"])
    output = capsys.readouterr().out
    assert "test accuracy 100.00%" in output
    assert "on other (3 examples)" in output
    assert fdl.load("a").dataset("folder:other").test.label.tolist() == [1, 1, 1]
    assert "'dusk', which own lacks" in complaint(
        ["eval", "a", "--dataset", "folder:new"], capsys
    )
    main(["predict", "a", "other", "own/day/0.png", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == [*["night"] * 3, "day"]
    assert lines[0]["file"] == "other/night/0.png"
    (here / "empty").mkdir()
    assert "empty contains no pictures" in complaint(["predict", "a", "empty"], capsys)
