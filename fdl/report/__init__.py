"""Pictures of runs, for people who would rather look than read."""

from fdl.report.confusion import draw_confusion as draw_confusion
from fdl.report.curves import draw_curves as draw_curves
