"""Pictures and pages of runs."""

# Before the others, since it imports matplotlib.
from fdl.report.backend import write_figure as write_figure

# isort: split
from fdl.listing import public as _public
from fdl.pixels import picture_file as picture_file
from fdl.pixels import picture_format as picture_format
from fdl.report.alignments import Alignment as Alignment
from fdl.report.alignments import draw_alignments as draw_alignments
from fdl.report.answers import draw_commonest as draw_commonest
from fdl.report.answers import draw_errors_by_length as draw_errors_by_length
from fdl.report.architecture import draw_architecture as draw_architecture
from fdl.report.calibration import draw_reliability as draw_reliability
from fdl.report.class_maps import draw_activation_maps as draw_activation_maps
from fdl.report.confusion import draw_confusion as draw_confusion
from fdl.report.curves import draw_comparison as draw_comparison
from fdl.report.curves import draw_curves as draw_curves
from fdl.report.distribution import draw_distribution as draw_distribution
from fdl.report.mistakes import draw_mistakes as draw_mistakes
from fdl.report.page import write_page as write_page
from fdl.report.parallel import draw_parallel as draw_parallel
from fdl.report.piano_roll import draw_rolls as draw_rolls
from fdl.report.rate import draw_rate_test as draw_rate_test
from fdl.report.samples import draw_animation as draw_animation
from fdl.report.samples import draw_images as draw_images
from fdl.report.scatter import draw_scatter as draw_scatter
from fdl.report.sweep import Line as Line
from fdl.report.sweep import draw_differences as draw_differences
from fdl.report.sweep import draw_learning as draw_learning
from fdl.report.sweep import draw_settings as draw_settings
from fdl.report.tiles import draw_features as draw_features
from fdl.report.tiles import draw_kernels as draw_kernels

__dir__ = _public(__name__)
