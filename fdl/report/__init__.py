"""Pictures of runs, for people who would rather look than read."""

from fdl.report.confusion import draw_confusion as draw_confusion
from fdl.report.curves import draw_curves as draw_curves
from fdl.report.samples import draw_animation as draw_animation
from fdl.report.samples import draw_images as draw_images
from fdl.report.scatter import draw_scatter as draw_scatter
