"""Datasets by name, and checks of the data that users bring."""

from fdl.arrays import DataError as DataError
from fdl.data import augment as augment
from fdl.data.binarize import binarize as binarize
from fdl.data.catalog import names as names
from fdl.data.checks import check as check
from fdl.data.checks import check_label as check_label
from fdl.data.dataset import Dataset as Dataset
from fdl.data.dataset import DatasetInfo as DatasetInfo
from fdl.data.dataset import example as example
from fdl.data.images import Fit as Fit
from fdl.data.images import Polarity as Polarity
from fdl.data.images import read_images as read_images
from fdl.data.images import read_images_like as read_images_like
from fdl.data.novelty import NoveltyDetector as NoveltyDetector
from fdl.data.novelty import novelty_detector as novelty_detector
from fdl.data.pictures import read_picture as read_picture
from fdl.data.places import Status as Status
from fdl.data.places import status as status
from fdl.data.routes import load as load
from fdl.data.routes import prepare as prepare
from fdl.data.splits import hold_out as hold_out
from fdl.listing import public as _public

__dir__ = _public(__name__, modules=("augment",))
