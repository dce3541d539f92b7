"""`--format` chooses the file format of all pictures that a command writes."""

import json

import numpy as np
import pytest
from shell import complaint

from fdl import report
from fdl.cli import main

pytestmark = pytest.mark.drawn

STARTS = {"png": b"\x89PNG", "svg": (b"<?xml", b"<svg"), "pdf": b"%PDF"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with vectors, images and a finished sweep."""
    monkeypatch.chdir(tmp_path)
    rng, label = np.random.default_rng(0), np.arange(60) % 3
    np.savez("rows.npz", x=rng.normal(size=(60, 4)), y=label)
    np.savez("images.npz", x=rng.integers(256, size=(60, 8, 8)).astype("u1"), y=label)
    one = {"seeds": [0, 1, 2], "test_values": [0.1, 0.2, 0.3], "diverged": 0}
    result = {"metric": "loss", "mode": "min", "configurations": [one]}
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "result.json").write_text(json.dumps(result))
    return tmp_path


def pictures(folder):
    """Return the names of the pictures in a folder, and check their formats."""
    found = [file for file in folder.iterdir() if file.suffix[1:] in STARTS]
    for file in found:
        assert file.read_bytes().startswith(STARTS[file.suffix[1:]]), file
    return sorted(file.name for file in found)


def test_training_and_sweeps_draw_in_the_format(here, capsys) -> None:
    data = ("--dataset", "npz:rows.npz", "--epochs", "1", "--format", "svg")
    main(["train", "mlp", *data, "--run", "a"])
    assert pictures(here / "a") == ["confusion.svg", "curves.svg"]
    assert "curves.svg" in capsys.readouterr().out
    assert "Loss (nats)" in (here / "a/curves.svg").read_text()
    grid = ("--grid", "learning-rate=0.1,0.01", "--seeds", "2", "--run", "b")
    main(["sweep", "mlp", *data, *grid])
    names = ("distribution", "learning", "parallel", "settings")
    assert pictures(here / "b") == [f"{name}.svg" for name in names]
    page = (here / "b/report.html").read_text()
    assert page.count("data:image/svg+xml") == 4


def test_a_page_embeds_pdf_pictures(here) -> None:
    report.draw_curves("a.pdf", {"loss": [1.0]}, {}, title="a")
    report.write_page("a.html", "a", {}, {}, {"Curves": "a.pdf"})
    assert '<embed type="application/pdf"' in (here / "a.html").read_text()


@pytest.mark.parametrize("kind", STARTS)
def test_each_format_is_what_its_name_says(here, kind) -> None:
    main(["compare", "s", "s", "--format", kind])
    main(["data", "show", "npz:images.npz", "--to", f"other.{kind}"])
    assert pictures(here) == [f"comparison.{kind}", f"other.{kind}"]


def test_other_commands_draw_in_the_format(here, capsys) -> None:
    kind = "svg"
    rate = ["find-rate", "mlp", "--dataset", "npz:rows.npz", "--steps", "10"]
    main([*rate, "--format", kind])
    main(["data", "show", "npz:images.npz", "--to", "sheet", "--format", kind])
    assert pictures(here) == ["find-rate.svg", "sheet.svg"]
    capsys.readouterr()
    for words, message in (
        ([*rate, "--to", "a.jpg"], "a.jpg must end with one of .png, .svg, .pdf"),
        ([*rate, "--to", "a.png", "--format", "pdf"], "a.png ends with .png, but"),
        ([*rate, "--format", kind], f"find-rate.{kind} already exists"),
    ):
        assert message in complaint(words, capsys)


def test_small_images_are_enlarged_in_grids(here) -> None:
    from PIL import Image

    for side, least in ((8, 80), (28, 80), (200, 200)):
        report.draw_images("grid.png", np.zeros((4, side, side, 1)))
        with Image.open("grid.png") as grid:
            assert 2 * least < grid.size[0] < 2 * least + 40
