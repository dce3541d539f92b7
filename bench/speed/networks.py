"""The sizes of the image networks, shared by all rows."""

from typing import Any

RESNET_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Features and number of blocks of each stage."""

DENSENET_BLOCKS = (6, 12, 24, 16)
"""Number of layers of each block of DenseNet-121."""

SMALL_RESNET_STAGES = ((16, 3), (32, 3), (64, 3))
"""Features and number of blocks of each stage of ResNet-20."""

MOBILE_BLOCKS = (
    *((16, 1),),
    *((24, 2), (24, 1)),
    *((32, 2), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1)),
    *((160, 2), (160, 1), (160, 1)),
    *((320, 1),),
)
"""Features and stride of each block; all but the first expand 6 times inside."""

UNET_FEATURES = (32, 64, 128)
"""Features of each level; the bottleneck has twice the last."""

# Layers of Inception v3: features, rows, columns and stride of a convolution (0 for
# stride 1 with `same` padding); `max`, `avg`; or a tuple of branches to concatenate.


def _fives(pool: int) -> tuple[Any, ...]:
    return (
        ((64, 1, 1, 0),),
        ((48, 1, 1, 0), (64, 5, 5, 0)),
        ((64, 1, 1, 0), (96, 3, 3, 0), (96, 3, 3, 0)),
        ("avg", (pool, 1, 1, 0)),
    )


def _sevens(inner: int) -> tuple[Any, ...]:
    row, column = (inner, 1, 7, 0), (inner, 7, 1, 0)
    return (
        ((192, 1, 1, 0),),
        ((inner, 1, 1, 0), row, (192, 7, 1, 0)),
        ((inner, 1, 1, 0), column, row, column, (192, 1, 7, 0)),
        ("avg", (192, 1, 1, 0)),
    )


_ROW_AND_COLUMN = (((384, 1, 3, 0),), ((384, 3, 1, 0),))

_FORKS = (
    ((320, 1, 1, 0),),
    ((384, 1, 1, 0), _ROW_AND_COLUMN),
    ((448, 1, 1, 0), (384, 3, 3, 0), _ROW_AND_COLUMN),
    ("avg", (192, 1, 1, 0)),
)

INCEPTION_LAYERS: tuple[Any, ...] = (
    *((32, 3, 3, 2), (32, 3, 3, 1), (64, 3, 3, 0), "max"),
    *((80, 1, 1, 1), (192, 3, 3, 1), "max"),
    *(_fives(32), _fives(64), _fives(64)),
    (
        ((384, 3, 3, 2),),
        ((64, 1, 1, 0), (96, 3, 3, 0), (96, 3, 3, 2)),
        ("max",),
    ),
    *(_sevens(128), _sevens(160), _sevens(160), _sevens(192)),
    (
        ((192, 1, 1, 0), (320, 3, 3, 2)),
        ((192, 1, 1, 0), (192, 1, 7, 0), (192, 7, 1, 0), (192, 3, 3, 2)),
        ("max",),
    ),
    *(_FORKS, _FORKS),
)
