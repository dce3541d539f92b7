"""The table of operations. Adding a shape takes one row.

An operation is a function in `bench.ops.draws`, which draws its arrays from the sizes
of a row, and a function in each file of `bench.ops.sides`.
"""

from typing import Any, NamedTuple

SMALL = (1, 64, 1024)
IMAGES = (1, 16, 64)


class Row(NamedTuple):
    """One operation in one shape.

    Attributes:
        name: Name in the report and in files.
        operation: Name of the operation.
        sizes: Its sizes; see the operation in `bench.ops.draws`.
        batches: Batch sizes. Loops are measured only at the middle one.
        without: Sides that do not support it.
    """

    name: str
    operation: str
    sizes: dict[str, Any]
    batches: tuple[int, ...] = IMAGES
    without: tuple[str, ...] = ()


def _row(
    name: str,
    operation: str,
    batches: tuple[int, ...] = IMAGES,
    without: tuple[str, ...] = (),
    **sizes: Any,
) -> Row:
    return Row(name, operation, sizes, batches, without)


_ALL = (
    # TensorFlow on CPU has no gradient of convolutions in groups.
    # Convolutions of LeNet, DCGAN, ResNet, VGG, AlexNet, Inception and ResNeXt.
    _row("conv-3x3-28x28x1", "conv", SMALL, size=28, channels=1, features=32, window=3),
    _row("conv-3x3-13x13x32", "conv", SMALL, size=13, channels=32, features=64, window=3),
    _row("conv-3x3-5x5x64", "conv", SMALL, size=5, channels=64, features=64, window=3),
    _row("conv-5x5-14x14x6", "conv", SMALL, size=14, channels=6, features=16, window=5),
    _row("conv-4x4-s2-28x28x1", "conv", (64, 256), size=28, channels=1, features=32, window=4, strides=2, padding="same"),
    _row("conv-4x4-s2-14x14x32", "conv", (64, 256), size=14, channels=32, features=64, window=4, strides=2, padding="same"),
    _row("conv-7x7-s2-70x70x3", "conv", size=70, channels=3, features=64, window=7, strides=2),
    _row("conv-3x3-16x16x64", "conv", size=16, channels=64, features=64, window=3, padding="same"),
    _row("conv-3x3-32x32x64", "conv", size=32, channels=64, features=64, window=3, padding="same"),
    _row("conv-3x3-64x64x64", "conv", (1, 16), size=64, channels=64, features=64, window=3, padding="same"),
    _row("conv-3x3-16x16x256", "conv", (1, 16), size=16, channels=256, features=256, window=3, padding="same"),
    _row("conv-3x3-14x14x512", "conv", (1, 16), size=14, channels=512, features=512, window=3, padding="same"),
    _row("conv-3x3-8x8x128", "conv", size=8, channels=128, features=128, window=3, padding="same"),
    _row("conv-3x3-4x4x256", "conv", size=4, channels=256, features=256, window=3, padding="same"),
    _row("conv-3x3-2x2x512", "conv", size=2, channels=512, features=512, window=3, padding="same"),
    _row("conv-3x3-s2-17x17x128", "conv", size=17, channels=128, features=128, window=3, strides=2),
    _row("conv-1x1-16x16x64", "conv", size=16, channels=64, features=256, window=1),
    _row("conv-1x1-16x16x256", "conv", size=16, channels=256, features=64, window=1),
    _row("conv-1x1-s2-16x16x256", "conv", size=16, channels=256, features=512, window=1, strides=2),
    _row("conv-5x5-32x32x16", "conv", size=32, channels=16, features=32, window=5, padding="same"),
    _row("conv-11x11-s4-227x227x3", "conv", (1, 16), size=227, channels=3, features=96, window=11, strides=4),
    _row("conv-1x7-17x17x192", "conv", size=17, channels=192, features=192, window=(1, 7), padding="same"),
    _row("conv-3x3-groups2-14x14x256", "conv", size=14, channels=256, features=256, window=3, padding="same", groups=2, without=("tf",)),
    _row("conv-3x3-groups32-14x14x256", "conv", (1, 16), size=14, channels=256, features=256, window=3, padding="same", groups=32, without=("tf",)),
    _row("conv-3x3-dilated-14x14x256", "conv", (1, 16), size=14, channels=256, features=256, window=3, padding="same", dilation=2),
    # Depthwise ones, of MobileNet and EfficientNet.
    _row("depthwise-3x3-32x32x64", "depthwise", size=32, channels=64, window=3, padding="same"),
    _row("depthwise-3x3-14x14x512", "depthwise", size=14, channels=512, window=3, padding="same"),
    _row("depthwise-3x3-s2-33x33x96", "depthwise", size=33, channels=96, window=3, strides=2),
    _row("depthwise-5x5-14x14x240", "depthwise", size=14, channels=240, window=5, padding="same"),
    # Transposed ones, of DCGAN, U-Net and FCN.
    _row("transposed-4x4-s2-7x7x64", "conv_transpose", (64, 256), size=7, channels=64, features=32, window=4, strides=2, padding="same"),
    _row("transposed-4x4-s2-16x16x64", "conv_transpose", size=16, channels=64, features=32, window=4, strides=2, padding="same"),
    _row("transposed-2x2-s2-16x16x128", "conv_transpose", size=16, channels=128, features=64, window=2, strides=2, padding="same"),
    _row("transposed-4x4-s2-16x16x21", "conv_transpose", size=16, channels=21, features=21, window=4, strides=2, padding="same"),
    _row("transposed-64x64-s32-7x7x21", "conv_transpose", (1, 16), size=7, channels=21, features=21, window=64, strides=32, padding="same"),
    # Pooling and upsampling.
    _row("max_pool-2x2-26x26x32", "max_pool", SMALL, size=26, channels=32, window=2),
    _row("max_pool-2x2-64x64x64", "max_pool", size=64, channels=64, window=2),
    _row("max_pool-3x3-s2-33x33x64", "max_pool", size=33, channels=64, window=3, strides=2),
    _row("max_pool-3x3-s1-14x14x256", "max_pool", size=14, channels=256, window=3, strides=1, padding="same"),
    _row("avg_pool-2x2-28x28x6", "avg_pool", SMALL, size=28, channels=6, window=2),
    _row("avg_pool-2x2-16x16x256", "avg_pool", size=16, channels=256, window=2),
    _row("avg_pool-3x3-s1-17x17x192", "avg_pool", size=17, channels=192, window=3, strides=1, padding="same"),
    _row("global_avg_pool-8x8x2048", "global_avg_pool", size=8, channels=2048),
    _row("upsample-nearest-2-16x16x128", "upsample", size=16, channels=128, factor=2, method="nearest"),
    _row("upsample-bilinear-2-16x16x128", "upsample", size=16, channels=128, factor=2, method="bilinear"),
    _row("upsample-bilinear-8-16x16x21", "upsample", size=16, channels=21, factor=8, method="bilinear"),
    # Products.
    _row("dense-784-32", "dense", SMALL, channels=784, features=32),
    _row("dense-576-64", "dense", SMALL, channels=576, features=64),
    _row("dense-400-400", "dense", SMALL, channels=400, features=400),
    _row("dense-9216-4096", "dense", (1, 16), channels=9216, features=4096),
    _row("dense-16x64-128", "dense", SMALL, channels=64, features=128, time=16),
    # Normalization.
    _row("batch_norm-32x32x64", "batch_norm", size=32, channels=64),
    _row("batch_norm-8x8x512", "batch_norm", size=8, channels=512),
    _row("instance_norm-64x64x32", "group_norm", size=64, channels=32, groups=32),
    _row("group_norm-16x16x128", "group_norm", size=16, channels=128, groups=32),
    _row("layer_norm-16x64", "layer_norm", SMALL, time=16, channels=64),
    _row("layer_norm-128x512", "layer_norm", time=128, channels=512),
    _row("lrn-27x27x96", "local_response_norm", size=27, channels=96, window=5),
    # Sequences: rows of a digit, words of a sentence.
    _row("lstm-28x28-128", "lstm", SMALL, time=28, channels=28, features=128),
    _row("lstm-64x128-256", "lstm", (1, 64), time=64, channels=128, features=256),
    _row("gru-28x28-128", "gru", SMALL, time=28, channels=28, features=128),
    _row("gru-64x128-256", "gru", (1, 64), time=64, channels=128, features=256),
    _row("simple_rnn-28x28-128", "simple_rnn", SMALL, time=28, channels=28, features=128),
    _row("attention-16x64-4", "attention", SMALL, time=16, channels=64, heads=4),
    _row("attention-128x256-8", "attention", time=128, channels=256, heads=8),
    _row("embedding-128-10000x256", "embedding", time=128, count=10000, features=256),
)  # fmt: skip

ROWS = {row.name: row for row in _ALL}
