"""Random changes of training examples: `fdl.data.augment.shift(2)` and its like.

Each function builds a change, `(key, example) -> example`, of one image `(height,
width, channels)`: pure, of static shapes, made for `jit` and `vmap`. The learner
`fdl.learners.augmented` applies it to every example of a training batch with a key of
its own. 8-bit pixels become numbers in [0, 1] first, so that fill values and strengths
are on that scale; images in floating point are taken as they are. Nothing is clipped,
as standardized images have no limits.

`mixup` is the exception: it mixes the examples of a batch with each other.
"""

from fdl.data.augment.change import Change as Change
from fdl.data.augment.change import compose as compose
from fdl.data.augment.geometry import crop as crop
from fdl.data.augment.geometry import cutout as cutout
from fdl.data.augment.geometry import flip as flip
from fdl.data.augment.geometry import rotate as rotate
from fdl.data.augment.geometry import shift as shift
from fdl.data.augment.mixup import mixup as mixup
from fdl.data.augment.values import brightness as brightness
from fdl.data.augment.values import contrast as contrast
from fdl.data.augment.values import noise as noise
