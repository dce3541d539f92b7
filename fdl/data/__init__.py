"""Datasets by name, and checks of the data that users bring."""

from fdl.arrays import DataError as DataError
from fdl.data import augment as augment
from fdl.data.binarize import binarize as binarize
from fdl.data.checks import check as check
from fdl.data.checks import check_label as check_label
from fdl.data.dataset import Dataset as Dataset
from fdl.data.dataset import DatasetInfo as DatasetInfo
from fdl.data.dataset import example as example
from fdl.data.dataset import require_sensible as require_sensible
from fdl.data.describe import Description as Description
from fdl.data.describe import describe as describe
from fdl.data.describe import draw_contact_sheet as draw_contact_sheet
from fdl.data.images import Fit as Fit
from fdl.data.images import Polarity as Polarity
from fdl.data.images import read_images as read_images
from fdl.data.images import read_images_like as read_images_like
from fdl.data.novelty import NoveltyDetector as NoveltyDetector
from fdl.data.novelty import novelty_detector as novelty_detector
from fdl.data.own import from_arrays as from_arrays
from fdl.data.pictures import read_picture as read_picture
from fdl.data.source import Source as Source
from fdl.data.source import Status as Status
from fdl.data.sources import existing as existing
from fdl.data.sources import find as find
from fdl.data.sources import load as load
from fdl.data.sources import names as names
from fdl.data.sources import prepare as prepare
from fdl.data.sources import short_name as short_name
from fdl.data.sources import status as status
from fdl.data.splits import hold_out as hold_out
from fdl.data.splits import split as split
from fdl.data.table import read_rows as read_rows
from fdl.data.texts import as_tokens as as_tokens
from fdl.data.texts import read_texts as read_texts
from fdl.listing import public as _public

__dir__ = _public(__name__, modules=("augment",))
