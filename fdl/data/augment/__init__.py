"""Data augmentation: random changes of training examples, such as `shift(2)`.

Each function builds a change, `(key, example) -> example`, of one image `(height,
width, channels)`. It is pure, with static shapes, for use with `jit` and `vmap`. The
learner `fdl.learners.augmented` applies it to each example of a training batch with its
own key. 8-bit pixels are first scaled to [0, 1], so fill values and strengths are on
that scale; floating point images are used unchanged. Nothing is clipped, since
standardized images have no limits.

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
