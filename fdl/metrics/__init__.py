"""Metrics of batches, as sums that add up, and of whole sets of examples or seeds."""

from fdl.listing import public as _public
from fdl.metrics.binary import F1 as F1
from fdl.metrics.binary import Precision as Precision
from fdl.metrics.binary import Recall as Recall
from fdl.metrics.binary import binary_accuracy as binary_accuracy
from fdl.metrics.binary import f1_score as f1_score
from fdl.metrics.binary import precision as precision
from fdl.metrics.binary import recall as recall
from fdl.metrics.calibration import EnsembleQuality as EnsembleQuality
from fdl.metrics.calibration import Reliability as Reliability
from fdl.metrics.calibration import calibration_error as calibration_error
from fdl.metrics.calibration import ensemble_quality as ensemble_quality
from fdl.metrics.calibration import (
    negative_log_likelihood as negative_log_likelihood,
)
from fdl.metrics.calibration import reliability as reliability
from fdl.metrics.classification import Overlap as Overlap
from fdl.metrics.classification import Perplexity as Perplexity
from fdl.metrics.classification import accuracy as accuracy
from fdl.metrics.classification import confusion_matrix as confusion_matrix
from fdl.metrics.classification import iou as iou
from fdl.metrics.classification import perplexity as perplexity
from fdl.metrics.classification import top_k_accuracy as top_k_accuracy
from fdl.metrics.generative import ClassBalance as ClassBalance
from fdl.metrics.generative import Extrapolated as Extrapolated
from fdl.metrics.generative import class_balance as class_balance
from fdl.metrics.generative import frechet_distance as frechet_distance
from fdl.metrics.generative import frechet_infinity as frechet_infinity
from fdl.metrics.neighbors import memorization as memorization
from fdl.metrics.neighbors import nearest_distance as nearest_distance
from fdl.metrics.neighbors import precision_recall as precision_recall
from fdl.metrics.regression import Determination as Determination
from fdl.metrics.regression import RootMean as RootMean
from fdl.metrics.regression import mean_absolute_error as mean_absolute_error
from fdl.metrics.regression import mean_squared_error as mean_squared_error
from fdl.metrics.regression import r2_score as r2_score
from fdl.metrics.regression import root_mean_squared_error as root_mean_squared_error
from fdl.metrics.roc import RocCurve as RocCurve
from fdl.metrics.roc import auc as auc
from fdl.metrics.statistics import Difference as Difference
from fdl.metrics.statistics import Summary as Summary
from fdl.metrics.statistics import paired_difference as paired_difference
from fdl.metrics.statistics import seeds_needed as seeds_needed
from fdl.metrics.statistics import summarize as summarize
from fdl.metrics.sums import Mean as Mean
from fdl.metrics.sums import Metric as Metric
from fdl.metrics.sums import Metrics as Metrics
from fdl.metrics.sums import add as add
from fdl.metrics.sums import compute as compute
from fdl.metrics.sums import mean as mean

__dir__ = _public(__name__)
