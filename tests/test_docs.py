"""The documentation is up to date: its code runs, its tables and tests exist."""

import json
import pkgutil
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import fdl
from bench.tables import MEASURED, TABLES, filled, measured, named, pages
from docs.notebooks import alternative, code, notebook, outputs, tutorials
from fdl.data.sample import Sample
from graphs.coverage import WRITTEN
from runs.small import few

# Digits; 160 are held out for validation. The rest, and what pages make, are trained on
# in batches of one size: a smaller last one needs another program.
TRAIN, TEST = 960, 200
EVEN = [("batch_size=64", "batch_size=50")]
ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Code that takes long, and its shorter replacement here, by page.
SMALLER = {
    "callbacks": [('"batch_size": 500', '"batch_size": 400')],
    "data": [
        ("epochs=30", "epochs=18, learning_rate=3e-3, batch_size=5"),
        ("range(200)", "range(216)"),
        ("epochs=20, path", "epochs=5, learning_rate=1e-2, batch_size=15, path"),
        ('"epochs": 5', '"epochs": 5, "batch_size": 6'),
    ],
    "ensembles": [("batch_size=64", "batch_size=48")],  # nothing is held out
    "fine-tuning": [("epochs=5", "epochs=1"), ("epochs=10", "epochs=1")],
    "from-keras": [
        ("epochs=5", "epochs=1"),
        ("metrics=", "jit_compile=False, metrics="),
    ],
    "many": [("64", "4"), ("epochs=5", "epochs=1")],
    "scaling": [("64", "50")],
    "supervised": [("batch_size=50", "batch_size=10")],
    "your-data": [
        ("range(300)", "range(60)"),
        ("epochs=20", "epochs=1"),
        ('"epochs": 20', '"epochs": 1'),
        ("epochs=100", 'epochs=1, hidden_sizes=(), optimizer="sgd"'),
        ("range(4)", 'range(2), strategy="map", members_per_chunk=2'),
        ("np.empty((4,", "np.empty((2,"),
        ("reshape(5,", "reshape(2,"),
        ('"cnn"', '"mlp"'),  # which compiles faster, and without hidden layers fastest
        ('"features": (8, 16, 32)', '"hidden_sizes": (), "optimizer": "sgd"'),
        ("keras.adam", "keras.sgd"),
        ("400", "60"),
    ],
    "your-model": [
        ('"epochs": 5', '"epochs": 1'),
        ("size=(200, 3)", "size=(216, 3)"),
        ("epochs=20", "epochs=8, batch_size=15"),
        ("learning_rate=0.05", "learning_rate=0.1"),
    ],
    "translation": [
        ("1000", "100"),
        ("epochs=10, batch_size=32", "epochs=1, batch_size=61"),
    ],
}


def run(page: Path) -> dict:
    """Run the code of a page from top to bottom, and return the names it defines."""
    scope: dict = {}
    for block in code(page):
        for long, short in [*SMALLER.get(page.stem, ()), *EVEN]:
            block = block.replace(long, short)
        exec(compile(block, str(page), "exec"), scope)
    return scope


def with_code() -> list:
    """Return the pages that contain code; those that import Keras are marked."""
    found = [page for page in sorted(DOCS.rglob("*.md")) if code(page)]
    keras = [any("import keras\n" in block for block in code(page)) for page in found]
    return [
        pytest.param(page, id=page.stem, marks=[pytest.mark.parity] * parity)
        for page, parity in zip(found, keras, strict=True)
        if page.stem not in ("many", "weights")
    ]


@pytest.fixture(autouse=True)
def few_digits(monkeypatch) -> None:
    """Pages load a fifth of mnist-5k: what they show, they show of fewer digits."""
    load = Sample.load

    def load_few(*args, **options):
        dataset = load(*args, **options)
        train, test = (
            fdl.Batch(part.image[:count], part.label[:count])
            for part, count in ((dataset.train, TRAIN), (dataset.test, TEST))
        )
        info = dataset.info._replace(train_count=TRAIN, test_count=TEST)
        return dataset._replace(train=train, test=test, info=info)

    monkeypatch.setattr(Sample, "load", load_few)


# A notebook displays the image that a cell opens last; here its file stays open.
shows_pictures = pytest.mark.filterwarnings(
    "ignore:.*FileIO:pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("page", with_code())
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@shows_pictures
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page)


@shows_pictures
def test_the_page_on_many_runs(monkeypatch) -> None:
    digits = few(400)
    monkeypatch.setattr(fdl.data, "load", lambda *args: digits)
    scope = run(DOCS / "tutorials" / "many.md")
    assert scope["run"].validation["accuracy"].shape == (4, 1)
    assert int(scope["best"].step) == 100


def test_weights_go_to_keras_and_back(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, image = fdl.models.CNN(10), jax.numpy.zeros((1, 28, 28, 1))
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(0), image))
    fdl.keras.save_weights("cnn.keras", model, variables, image)
    scope = run(DOCS / "migrating" / "weights.md")
    again = fdl.keras.load_weights("again.keras", model)
    for tree in (scope["variables"], again):
        jax.tree.map(np.testing.assert_array_equal, tree, variables)


@pytest.mark.parametrize("page", tutorials(), ids=lambda page: page.stem)
def test_outputs_belong_to_the_current_code(page) -> None:
    cells = outputs(page)["cells"]
    again = f"run python -m bench.tutorials {page.stem}"
    assert [cell["code"] for cell in cells] == code(page), again
    made = [cell for cell in notebook(page).cells if cell.cell_type == "code"]
    for cell, shown in zip(cells, made, strict=True):
        assert shown.source == cell["code"]
        text, picture = bool(cell["text"]), bool(cell["picture"])
        assert [*text * ["stream"], *picture * ["display_data"]] == [
            output.output_type for output in shown.outputs
        ]
        assert not picture or alternative(cell["code"])


def test_tables_come_from_result_files() -> None:
    for page in pages():
        text = page.read_text("utf-8")
        assert filled(text) == text, f"{page}: run python -m bench.tables"
    assert json.loads(MEASURED.read_text()) == measured(), "run python -m bench.tables"


def test_every_table_is_on_one_page() -> None:
    found = [name for page in pages() for name in named(page.read_text("utf-8"))]
    assert sorted(found) == sorted(TABLES)


@pytest.mark.parametrize("name", ["promises", "porting"])
def test_every_row_names_a_test(name) -> None:
    page = DOCS / "understanding" / f"{name}.md"
    before, *_ = re.split(r"\n<!-- |\n## See for yourself", page.read_text("utf-8"))
    rows = re.findall(r"^\| (?!trap|promise|---).*", before, re.M)
    assert len(rows) > 10
    for row in rows:
        parts = re.split(r"\]\(\.\./\.\./(tests/[\w/.]+)\)", row)
        assert len(parts) > 1, row
        for file, names in zip(parts[1::2], parts[2::2], strict=True):
            code = (ROOT / file).read_text(encoding="utf-8")
            found = re.findall(r"`(test_\w+)`", names)
            assert found, row
            for test in found:
                assert f"def {test}(" in code, f"{file} has no {test}"


def test_the_fdl_names_given_for_keras_classes_exist() -> None:
    for name in re.findall(r"`(fdl\.[\w.]+)", " ".join(WRITTEN.values())):
        package, _, last = name.rpartition(".")
        assert hasattr(pkgutil.resolve_name(package), last), name
