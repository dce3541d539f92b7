"""Image functions shared by data augmentation and by Keras-compatible layers."""

from fdl.imaging.color import contrast as contrast
from fdl.imaging.color import grayscale as grayscale
from fdl.imaging.color import hsv_to_rgb as hsv_to_rgb
from fdl.imaging.color import rgb_to_hsv as rgb_to_hsv
from fdl.imaging.filters import correlate as correlate
from fdl.imaging.filters import gaussian as gaussian
from fdl.imaging.geometry import FillMode as FillMode
from fdl.imaging.geometry import Interpolation as Interpolation
from fdl.imaging.geometry import project as project
from fdl.imaging.geometry import rotation as rotation
from fdl.imaging.geometry import sample as sample
from fdl.listing import public as _public

__dir__ = _public(__name__)
