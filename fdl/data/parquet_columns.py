"""Choice of the columns of a Parquet file: images or texts, and classes."""

from pathlib import Path
from typing import Any, NamedTuple

from fdl.arrays import DataError
from fdl.untrusted import MOST_JSON, parse_json, reason

_MOST_COLUMNS = 100_000


class Columns(NamedTuple):
    """The columns to read.

    Attributes:
        inputs: Column of images or texts.
        target: Column of classes.
        names: Names of classes that are whole numbers; None if unknown.
        are_texts: Whether the inputs are texts.
    """

    inputs: str
    target: str
    names: tuple[str, ...] | None
    are_texts: bool


def open_parquet(file: Path) -> Any:
    """Open a Parquet file.

    Raises:
        DataError: If it has another format, or is damaged.
    """
    # Imported here: it takes half a second, and only such files need it.
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(
            file,
            thrift_container_size_limit=_MOST_COLUMNS,
            thrift_string_size_limit=MOST_JSON,
        )
    except Exception as error:
        # A damaged file fails in many ways, all of which mean the same.
        raise DataError(
            f"{file} cannot be read as Parquet: {reason(error)}."
        ) from error


def find_columns(file: Path, target: str | None, text: str | None) -> Columns:
    """Return the columns of inputs and of classes.

    Args:
        file: The file.
        target: Column of classes; None for the one called `label`, or the only one.
        text: Column of texts; None for the column of images, or if there is none, the
            only column of texts, or the one called `text`.

    Raises:
        DataError: If there is no such column, or the choice is ambiguous.
    """
    import pyarrow.types as kinds

    schema = open_parquet(file).schema_arrow
    images, strings, numbers = [], [], []
    for field in schema:
        kind = field.type
        if kinds.is_struct(kind):
            inside = kind.get_field_index("bytes")
            kind = kind.field(inside).type if inside >= 0 else kind
        if kinds.is_binary(kind) or kinds.is_large_binary(kind):
            images.append(field.name)
        elif kinds.is_string(kind) or kinds.is_large_string(kind):
            strings.append(field.name)
        elif kinds.is_integer(kind) or kinds.is_boolean(kind):
            numbers.append(field.name)
    listed = f"columns: {', '.join(f'{field.name} ({field.type})' for field in schema)}"
    are_texts = text is not None or (not images and bool(strings))
    inputs = images
    if are_texts:
        inputs = [name for name in strings if name != target]
        if text is not None or len(inputs) > 1:
            inputs = [name for name in inputs if name == (text or "text")]
    if len(inputs) != 1:
        raise DataError(
            f"{file}: which column is the text? Name one as text (--text); {listed}."
            if are_texts
            else f"{file} has {len(images) or 'no'} columns of images, and one is "
            f"needed; {listed}."
        )
    labels = [name for name in schema.names if name in (*strings, *numbers)]
    labels = [name for name in labels if name not in inputs]
    if target is None and len(labels) > 1:
        labels = [name for name in ("label", "labels", "class") if name in labels][:1]
    chosen = labels if target is None else [name for name in labels if name == target]
    if len(chosen) != 1:
        wanted = "the class" if target is None else f"target={target!r}"
        raise DataError(
            f"{file}: which column is {wanted}? Name one with whole numbers or names "
            f"as target (--target); {listed}."
        )
    names = _class_names(schema.metadata, chosen[0])
    return Columns(inputs[0], chosen[0], names, are_texts)


def _class_names(
    metadata: dict[bytes, bytes] | None, label: str
) -> tuple[str, ...] | None:
    """Return the class names in the metadata that the Hub writes; None without them."""
    try:
        described = parse_json((metadata or {})[b"huggingface"])
        names = described["info"]["features"][label]["names"]
        return tuple(map(str, names))
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
