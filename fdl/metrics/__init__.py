"""Measures: of batches, as sums that add up; of generated examples, as a whole."""

from fdl.metrics.calibration import EnsembleQuality as EnsembleQuality
from fdl.metrics.calibration import Reliability as Reliability
from fdl.metrics.calibration import calibration_error as calibration_error
from fdl.metrics.calibration import ensemble_quality as ensemble_quality
from fdl.metrics.calibration import (
    negative_log_likelihood as negative_log_likelihood,
)
from fdl.metrics.calibration import reliability as reliability
from fdl.metrics.generative import ClassBalance as ClassBalance
from fdl.metrics.generative import Extrapolated as Extrapolated
from fdl.metrics.generative import class_balance as class_balance
from fdl.metrics.generative import frechet_distance as frechet_distance
from fdl.metrics.generative import frechet_infinity as frechet_infinity
from fdl.metrics.neighbors import memorization as memorization
from fdl.metrics.neighbors import nearest_distance as nearest_distance
from fdl.metrics.neighbors import precision_recall as precision_recall
from fdl.metrics.statistics import Difference as Difference
from fdl.metrics.statistics import Summary as Summary
from fdl.metrics.statistics import paired_difference as paired_difference
from fdl.metrics.statistics import seeds_needed as seeds_needed
from fdl.metrics.statistics import summarize as summarize
from fdl.metrics.sums import Mean as Mean
from fdl.metrics.sums import Metrics as Metrics
from fdl.metrics.sums import accuracy as accuracy
from fdl.metrics.sums import add as add
from fdl.metrics.sums import compute as compute
from fdl.metrics.sums import confusion_matrix as confusion_matrix
from fdl.metrics.sums import mean as mean
