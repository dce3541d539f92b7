"""New rows for a run on a table, and data on which a run cannot be evaluated."""

import pytest

from fdl.data import DataError, load, read_rows
from fdl.runs.run import require_alike

HEAD = "area,town,price"
TOWNS = ("Rome", "Oslo")


@pytest.fixture
def info(tmp_path):
    """The info of a table of houses whose price is the target."""
    rows = [f"{40 + n},{TOWNS[n % 2]},{1000.5 + 3 * n}" for n in range(40)]
    file = tmp_path / "houses.csv"
    file.write_text("\n".join([HEAD, *rows]))
    return load(f"csv:{file}?target=price").info


def test_rows_are_read_like_the_training_data(info, tmp_path) -> None:
    assert info.columns == ("area", "town=Oslo", "town=Rome")
    file = tmp_path / "new.csv"
    file.write_text("id,town,area\nx,Oslo,55\ny,Rome,60.5\n")
    assert read_rows(file, info).tolist() == [[55, 1, 0], [60.5, 0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("town,area\nOslo,55\nLima,55\n", "row 2 of column 'town' is 'Lima', which"),
        ("town,area\nOslo,big\n", "row 1 of column 'area' is 'big', not a number"),
        ("town\nOslo\n", "has no column for 'area'; columns: town"),
        ("area\n55\n", "has no column for 'town=Oslo'; columns: area"),
    ],
)
def test_rows_that_do_not_fit_are_refused(info, tmp_path, text, message) -> None:
    file = tmp_path / "new.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_rows(file, info)


def test_a_run_is_evaluated_only_on_its_own_classes_and_columns(info) -> None:
    require_alike(info, info)
    for changed, message in (
        ({"class_names": ("rent",)}, "the classes 'rent', .* trained on 'price'"),
        ({"columns": info.columns[::-1]}, "the features 'town=Rome'"),
        ({"input_shape": (4,)}, r"inputs of shape \(4,\)"),
    ):
        with pytest.raises(DataError, match=message):
            require_alike(info._replace(**changed), info)
    text = info._replace(kind="text", class_names=("a", "b"))
    with pytest.raises(DataError, match="the characters 'b', 'a', "):
        require_alike(text._replace(class_names=("b", "a")), text)
