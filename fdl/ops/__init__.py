"""Pure array functions whose lowering is chosen for speed, per platform."""

from fdl.ops.conv import conv as conv
from fdl.ops.pool import max_pool as max_pool
from fdl.ops.windows import Implementation as Implementation
from fdl.ops.windows import Padding as Padding
