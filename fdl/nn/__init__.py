"""What models are built from, with Keras' defaults and Keras' numerics."""

from fdl.nn.conv import Conv2D as Conv2D
from fdl.nn.dense import Dense as Dense
from fdl.ops import max_pool as max_pool
