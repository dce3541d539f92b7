"""Write the directory that TensorFlow Datasets would prepare, without TensorFlow."""

import contextlib
import io
import logging
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fdl.arrays import DataError
from fdl.data import cache, tfds
from fdl.data.catalog import IMAGE_SHAPE, TFDS_VERSION, Entry, Splits

_log = logging.getLogger(__name__)


def require_free(entry: Entry, root: Path) -> None:
    """Raise a `DataError` if the directory to be written exists already."""
    version = tfds.directory(entry, root)
    if not version.exists():
        return
    reason = tfds.problem(entry, version)
    if reason is None:
        raise DataError(
            f"{version}: {entry.title} exists already; nothing was written."
        )
    raise DataError(
        f"{version}: exists but is not complete; nothing was written. Remove it and "
        f"prepare again. Reason: {reason}"
    )


def write(entry: Entry, splits: Splits, root: Path) -> Path:
    """Prepare the directory that TFDS itself would prepare, as array_record.

    Raises:
        DataError: If the directory exists, since it is never overwritten, or cannot be
            written.
    """
    require_free(entry, root)
    version = tfds.directory(entry, root)
    _log.info("preparing %s in %s (about 10 s)", entry.title, version)
    try:
        version.parent.mkdir(parents=True, exist_ok=True)
        # Written next to its final place and renamed, so that neither another process
        # nor a crash leaves a part of it there.
        with tempfile.TemporaryDirectory(dir=root, prefix=".fdl-preparing-") as scratch:
            _make(entry, splits, scratch)
            _move(entry, tfds.directory(entry, Path(scratch)), version)
    except (OSError, ImportError) as error:
        raise DataError(f"{version}: cannot be written ({error}).") from error
    cache.write(entry, splits)
    return version


def _make(entry: Entry, splits: Splits, scratch: str) -> None:
    import tensorflow_datasets as tf_datasets

    # TFDS prints to the terminal ("Downloading ..."); errors are raised anyway.
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        builder = _builder_class(entry, splits)(
            data_dir=scratch, file_format="array_record"
        )
        builder.download_and_prepare(
            download_config=tf_datasets.download.DownloadConfig(try_download_gcs=False)
        )


def _move(entry: Entry, made: Path, version: Path) -> None:
    reason = tfds.problem(entry, made)
    if reason:
        raise DataError(reason)
    try:
        made.rename(version)
    except OSError:
        if tfds.problem(entry, version):
            raise  # otherwise, another process was faster


def _builder_class(entry: Entry, splits: Splits) -> Any:
    """Return a TFDS builder class for given arrays; TFDS's own needs TensorFlow."""
    import tensorflow_datasets as tf_datasets
    from PIL import Image
    from tensorflow_datasets.core import registered

    def png(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return buffer.getvalue()

    # TFDS has its own class of this name, and rejects a second one.
    with registered.skip_registration():

        class Builder(tf_datasets.core.GeneratorBasedBuilder):
            name = entry.name
            VERSION = tf_datasets.core.Version(TFDS_VERSION)
            RELEASE_NOTES: ClassVar[dict[str, str]] = {
                TFDS_VERSION: "The published files, prepared by fdl."
            }

            def _info(self):
                return tf_datasets.core.DatasetInfo(
                    builder=self,
                    description=entry.title,
                    features=tf_datasets.features.FeaturesDict(
                        {
                            "image": tf_datasets.features.Image(shape=IMAGE_SHAPE),
                            "label": tf_datasets.features.ClassLabel(
                                names=entry.class_names
                            ),
                        }
                    ),
                    supervised_keys=("image", "label"),
                )

            def _split_generators(self, dl_manager):
                del dl_manager  # the arrays are here already
                train, test = splits
                return {
                    "train": self._generate_examples(train),
                    "test": self._generate_examples(test),
                }

            def _generate_examples(self, batch):
                # The key must be the plain index: TFDS's order follows from it.
                for index, (image, label) in enumerate(zip(*batch, strict=True)):
                    yield index, {"image": png(image[..., 0]), "label": int(label)}

    return Builder
