"""Write the folder tfrecord/ with TensorFlow, from a directory that fdl prepared.

Run `python make_tfrecord.py PREPARED/mnist/3.0.1`, where PREPARED is the folder of the
fixture `tiny_prepared`. The committed files were written by TensorFlow 2.21.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf
from array_record.python.array_record_module import ArrayRecordReader

source = Path(sys.argv[1])
target = Path(__file__).parent / "tfrecord" / "mnist" / "3.0.1"
target.mkdir(parents=True)
for shard in source.glob("*.array_record-*"):
    reader = ArrayRecordReader(str(shard))
    name = shard.name.replace("array_record", "tfrecord")
    with tf.io.TFRecordWriter(str(target / name)) as writer:
        for record in reader.read_all():
            writer.write(record)
    reader.close()
info = json.loads((source / "dataset_info.json").read_text())
(target / "dataset_info.json").write_text(
    json.dumps({**info, "fileFormat": "tfrecord"}, indent=2) + "\n"
)
for name in ("features.json", "label.labels.txt"):
    (target / name).write_text((source / name).read_text())
