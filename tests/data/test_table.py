"""Tables: `csv:FILE`, and the tasks that take them."""

import numpy as np
import pytest

import fdl
from fdl import runs
from fdl.data import DataError, from_arrays, load, read_rows, status
from fdl.runs.run import require_alike
from fdl.tasks.classification import prepared_inputs

HEAD = "area,town,id,price,sold,rooms"
TOWNS = ("Rome", "Oslo")


def rows(count=60):
    sold = ["yes" if n % 3 else "no" for n in range(count)]
    return [
        f"{40 + n},{TOWNS[n % 2]},h-{n},{1000.5 + 3 * n},{sold[n]},{n % 4}"
        for n in range(count)
    ]


@pytest.fixture
def write(tmp_path):
    """Writes a CSV file of lines, and returns its line."""

    def write(lines, name="houses.csv", encoding="utf-8"):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding=encoding)
        return f"csv:{tmp_path / name}"

    return write


def test_words_are_categories_and_names_are_passed_over(write) -> None:
    data = load(write([HEAD, *rows()]), target="sold", validation=None)
    info = data.info
    assert info.kind == "vector"
    assert info.class_names == ("no", "yes")
    assert info.columns == ("area", "town=Oslo", "town=Rome", "price", "rooms")
    assert "passed over, words of too many values: ['id']" in info.source
    assert (info.train_count, info.test_count) == (50, 10)
    every = np.concatenate([data.train.image, data.test.image])
    labels = np.concatenate([data.train.label, data.test.label])
    row = int(np.argmax(every[:, 0] == 43))
    assert every[row].tolist() == [43, 1, 0, 1009.5, 3]
    assert labels[row] == 0
    inputs = prepared_inputs(info)(data.train.image)
    np.testing.assert_allclose(inputs.mean(axis=0), np.zeros(5), atol=1e-4)
    np.testing.assert_allclose(inputs.std(axis=0), np.ones(5), rtol=1e-4)


@pytest.mark.parametrize(
    ("target", "kind", "names"),
    [
        ("price", "regression", ()),
        ("area", "regression", ()),  # 60 different whole numbers are amounts
        ("rooms", "vector", ("0", "1", "2", "3")),
    ],
)
def test_the_target_says_what_is_learned(write, target, kind, names) -> None:
    data = load(write([HEAD, *rows()]), target=target)
    assert (data.info.kind, data.info.class_names) == (kind, names)
    if kind == "regression":
        assert data.train.targets.shape == (data.info.train_count, 1)
        whole = np.concatenate([data.train.targets, data.validation.targets])
        assert data.info.target_mean == pytest.approx(whole.mean())
        assert data.info.target_scale == pytest.approx(whole.std(), rel=1e-5)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_marks_blanks_and_byte_order(write, mark) -> None:
    cells = [line.split(",") for line in [HEAD, *rows()]]
    lines = [mark.join(f" {cell} " for cell in line) for line in cells]
    data = load(write([*lines, ""], encoding="utf-8-sig"), target="sold")
    assert data.info.columns[0] == "area"
    assert data.info.class_names == ("no", "yes")


def _changed(number, old, new):
    lines = [HEAD, *rows()]
    lines[number] = lines[number].replace(old, new)
    return lines


@pytest.mark.parametrize(
    ("lines", "target", "words"),
    [
        ([HEAD, *rows()], "prize", "no column 'prize'; columns: area, town, id, price"),
        ([HEAD, *rows()], None, r"which column is to be told\? .*; columns: area"),
        (_changed(3, "42,", "42 m,"), "sold", "line 4: column 'area' has '42 m', "),
        (_changed(3, "42,", "inf,"), "sold", "line 4: column 'area' has 'inf', which"),
        (_changed(3, "1006.5", "none"), "price", "line 4: column 'price' has 'none'"),
        (_changed(3, "Rome", " "), "sold", "line 4: the cell of column 'town' is empt"),
        (
            _changed(3, "42,", ""),
            "sold",
            "line 4: has 5 cells, but there are 6 co",
        ),
        (rows(), "sold", "no column 'sold'"),
        (["1,2", "3,4"], "sold", r"its first line holds numbers \(1, 2, \.\.\."),
        (["a,a", "3,4"], "a", "column 2 is another 'a'"),
        (["a,", "3,4"], "a", "column 2 is without a name"),
        ([HEAD], "sold", "no rows below a line"),
        (["sold", "yes", "no"], "sold", "no column besides 'sold'"),
        (["a,sold", "1,yes", "2,yes"], "sold", "one class only, 'yes'"),
        (["a,sold", "1,yes", "2,yes", "3,no"], "sold", "class 'no' has one example"),
    ],
)
def test_faults_are_named(write, lines, target, words) -> None:
    with pytest.raises(DataError, match=words):
        load(write(lines), target=target)


def test_a_file_that_is_no_table(tmp_path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv cannot be read: No such file"):
        load(f"csv:{tmp_path / 'absent.csv'}")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match="cannot be read as CSV in UTF-8"):
        load(f"csv:{tmp_path / 'image.csv'}")
    (said,) = status(f"csv:{tmp_path / 'absent.csv'}")
    assert not said.available


def test_rows_are_read_as_those_trained_on(write, tmp_path) -> None:
    info = load(write([HEAD, *rows()]), target="sold").info
    file = tmp_path / "new.csv"
    file.write_text("rooms,price,town,area\n2,1000,Oslo,55\n")
    assert read_rows(file, info).tolist() == [[55, 1, 0, 1000, 2]]
    file.write_text("rooms,price,town,area\n2,1000,Oslo,55\n2,1000,Lima,55\n")
    with pytest.raises(DataError, match="line 3: column 'town' has 'Lima', which the"):
        read_rows(file, info)
    file.write_text("rooms,price,town\n2,1000,Oslo\n")
    with pytest.raises(DataError, match="no column for the feature 'area'"):
        read_rows(file, info)


def test_a_number_is_learned_in_its_own_unit(write, tmp_path) -> None:
    line = write([HEAD, *rows(200)])
    run = runs.train(
        "regress",
        dataset=f"{line}?target=price",
        epochs=4,
        batch_size=4,
        learning_rate=0.03,
        hidden_sizes=(),
        path=tmp_path / "run",
    )
    again = fdl.load(tmp_path / "run")
    assert again.metrics["r2_score"] > 0.99
    found = again.evaluate()
    assert found["mean_absolute_error"] == pytest.approx(
        run.metrics["mean_absolute_error"], rel=1e-5
    )
    new = tmp_path / "new.csv"
    new.write_text("area,town,id,sold,rooms\n140,Rome,x,yes,0\n")
    predicted = again.predict(read_rows(new, again.info))
    assert predicted.shape == (1, 1)
    assert abs(predicted[0, 0] - 1300.5) < 30
    assert (tmp_path / "run" / "predictions.png").is_file()
    other = write([HEAD.replace("area", "size"), *rows()], "other.csv")
    with pytest.raises(DataError, match=r"features 'size', .*trained on 'area', "):
        again.dataset(f"{other}?target=price")
    own = again.info
    for changed in ({"class_names": ("a", "b")}, {"columns": own.columns[::-1]}):
        with pytest.raises(DataError, match="they must be the same"):
            require_alike(own._replace(**changed), own)


def test_numbers_are_predicted_from_vectors_alone() -> None:
    values = np.arange(12.0)
    assert from_arrays(np.eye(12), values).info.kind == "regression"
    with pytest.raises(DataError, match="predicted from vectors"):
        from_arrays(np.zeros((12, 8, 8), np.uint8), values)
    with pytest.raises(DataError, match="predicted from vectors"):
        from_arrays(np.eye(12), np.eye(12))


def test_a_task_without_data_of_its_own_asks_for_some() -> None:
    with pytest.raises(ValueError, match="'regress' has no data set of its own: name"):
        runs.configure("regress")
