"""TFDS directories, written by TensorFlow Datasets without TensorFlow."""

import io


def write_tfds(root, features, splits, dataset="pets", version="1.2.0", inputs="image"):
    """Write a TFDS directory of array_record files; images are PNG bytes."""
    import tensorflow_datasets as tf_datasets
    from tensorflow_datasets.core import registered

    with registered.skip_registration():

        class Builder(tf_datasets.core.GeneratorBasedBuilder):
            name = dataset
            VERSION = tf_datasets.core.Version(version)

            def _info(self):
                return tf_datasets.core.DatasetInfo(
                    builder=self,
                    features=tf_datasets.features.FeaturesDict(features),
                    supervised_keys=(inputs, "label"),
                )

            def _split_generators(self, dl_manager):
                return {
                    split: self._generate_examples(rows)
                    for split, rows in splits.items()
                }

            def _generate_examples(self, rows):
                yield from rows

        builder = Builder(data_dir=root, file_format="array_record")
        builder.download_and_prepare()
    return root / dataset / version


def png(pixels):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
