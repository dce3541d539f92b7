"""The sizes of networks of images, which all rows have in common."""

RESNET_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Features and number of blocks of each stage."""

MOBILE_BLOCKS = (
    *((16, 1),),
    *((24, 2), (24, 1)),
    *((32, 2), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1)),
    *((160, 2), (160, 1), (160, 1)),
    *((320, 1),),
)
"""Features and stride of each block; all but the first are 6 times as wide inside."""

UNET_FEATURES = (32, 64, 128)
"""Features of each level; twice the last are in the middle."""
