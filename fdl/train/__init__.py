"""The training loop, evaluation and prediction."""

from fdl.listing import public as _public
from fdl.programs import program as program
from fdl.train.evaluate import ensemble as ensemble
from fdl.train.evaluate import evaluate as evaluate
from fdl.train.evaluate import in_batches as in_batches
from fdl.train.evaluate import predict as predict
from fdl.train.evaluate import predict_many as predict_many
from fdl.train.fit import fit as fit
from fdl.train.many import FitManyResult as FitManyResult
from fdl.train.many import fit_many as fit_many
from fdl.train.rate import RateTest as RateTest
from fdl.train.rate import find_rate as find_rate
from fdl.train.results import DivergenceError as DivergenceError
from fdl.train.results import Epoch as Epoch
from fdl.train.results import FitResult as FitResult
from fdl.train.steps import run_steps as run_steps
from fdl.train.stopping import EarlyStopping as EarlyStopping

__dir__ = _public(__name__)
