"""Reading of directories prepared by TensorFlow Datasets, without TensorFlow."""

import contextlib
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fdl.arrays import DataError
from fdl.data.pictures import of_few_pixels
from fdl.untrusted import parse_json, read_text

_AT_ONCE = 8  # examples to decode; each may have a large picture
_FEATURES = "tensorflow_datasets.core.features."
KNOWN = {
    _FEATURES + name
    for name in (
        "bounding_boxes.BBoxFeature",
        "class_label_feature.ClassLabel",
        "features_dict.FeaturesDict",
        "image_feature.Image",
        "labeled_image.LabeledImage",
        "scalar.Scalar",
        "sequence_feature.Sequence",
        "tensor_feature.Tensor",
        "text_feature.Text",
    )
}
"""Features that a directory may name, since TFDS imports any module that it names."""

_CLASS_KEYS = ("pythonClassName", "python_class_name", "type")


def require_known_features(version: Path) -> None:
    """Raise a `DataError` unless all features in `features.json` are in `KNOWN`.

    Call this before TFDS opens the directory, since TFDS imports, and so executes, the
    module of each feature that the file names.
    """
    try:
        described = parse_json(read_text(version / "features.json"))
        named = list(_named(described))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{version}: features.json cannot be read ({type(error).__name__}: "
            f"{str(error)[:100]}). Remove the directory and prepare it again."
        ) from error
    for name in named:
        if not isinstance(name, str) or name not in KNOWN:
            short = sorted(known.rpartition(".")[2] for known in KNOWN)
            raise DataError(
                f"{version}: features.json names the feature {name!r}, which is not "
                f"loaded, since that would run code; supported are {', '.join(short)} "
                "of tensorflow_datasets."
            )


def _named(tree: Any) -> Iterator[Any]:
    """Yield the values in all places where TFDS would look for the name of a class."""
    if isinstance(tree, list):
        for each in tree:
            yield from _named(each)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            # A feature may itself be called "type", and is then described by a dict.
            if key in _CLASS_KEYS and not isinstance(value, dict):
                yield value
            yield from _named(value)


def open_builder(version: Path) -> Any:
    """Return the TFDS builder of a directory, after checking its features.

    Raises:
        DataError: If the directory is damaged or names unsupported features, or a
            package is missing.
    """
    require_known_features(version)
    try:
        import tensorflow_datasets as tfds

        return tfds.builder_from_directory(str(version))
    except ImportError as error:
        raise _lacks(version, error) from error
    except Exception as error:
        # Several libraries are involved, each with its own errors.
        raise _damaged(version, "the directory", error) from error


def examples(builder: Any, split: str) -> Iterator[dict[str, Any]]:
    """Yield the examples of a split as TFDS decodes them, in the order of the files.

    Raises:
        DataError: If a file is damaged, or its format is unknown.
    """
    form = builder.info.file_format.value
    if form != "tfrecord":
        source = records(builder, split)
        for first in range(0, len(source), _AT_ONCE):
            yield from source.__getitems__(
                range(first, min(first + _AT_ONCE, len(source)))
            )
        return
    decode = builder.info.features.deserialize_example_np
    with _faults(builder, split):
        for file in builder.info.splits[split].filepaths:
            for record in _tfrecords(Path(file).read_bytes()):
                with of_few_pixels():
                    found = decode(record)
                yield found


class Records:
    """The examples of a split, by index."""

    def __init__(self, builder: Any, split: str) -> None:
        """Open the files."""
        self._builder, self._split = builder, split
        with _faults(builder, split):
            self._source = builder.as_data_source(split=split)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._source)

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Return some examples as TFDS decodes them."""
        with _faults(self._builder, self._split), of_few_pixels():
            return self._source.__getitems__(numbers)


def records(builder: Any, split: str) -> Records:
    """Return the examples of a split by index.

    Raises:
        DataError: If the directory is not in the format array_record, or has no such
            split.
    """
    version, form = Path(builder.data_path), builder.info.file_format.value
    if form != "array_record":
        raise DataError(
            f"{version}: prepared as {form!r}, which cannot be read"
            f"{' by index' * (form == 'tfrecord')}. Prepare it again as array_record."
        )
    named = re.split(r"[\[+]", split)[0]
    if named not in builder.info.splits:
        raise DataError(
            f"{version} has no split {named!r}: choose one of "
            f"{', '.join(builder.info.splits)}."
        )
    return Records(builder, split)


@contextlib.contextmanager
def _faults(builder: Any, split: str) -> Iterator[None]:
    version = Path(builder.data_path)
    try:
        yield
    except ImportError as error:
        raise _lacks(version, error) from error
    except Exception as error:
        # Several libraries are involved, each with its own errors.
        raise _damaged(version, f"split {split}", error) from error


def _tfrecords(data: bytes) -> Iterator[bytes]:
    # A record is its length (8 bytes), a checksum (4), the data, a checksum (4).
    position = 0
    while position < len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        position += 12
        if position + length + 4 > len(data):
            raise ValueError("a record is cut short")
        yield data[position : position + length]
        position += length + 4


def _lacks(version: Path, error: ImportError) -> DataError:
    return DataError(
        f"{version}: reading it needs a package that is not installed ({error}). "
        "Install it, or use the original files instead."
    )


def _damaged(version: Path, what: str, error: Exception) -> DataError:
    return DataError(
        f"{version}: {what} cannot be decoded ({error!r}). "
        "Remove the directory and prepare it again."
    )
