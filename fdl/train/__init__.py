"""The training loop, and what becomes of a trained state."""

from fdl.train.ensemble import ensemble as ensemble
from fdl.train.ensemble import predict_many as predict_many
from fdl.train.evaluate import evaluate as evaluate
from fdl.train.evaluate import predict as predict
from fdl.train.fit import DivergenceError as DivergenceError
from fdl.train.fit import Epoch as Epoch
from fdl.train.fit import Fit as Fit
from fdl.train.fit import fit as fit
from fdl.train.many import EarlyStopping as EarlyStopping
from fdl.train.many import FitMany as FitMany
from fdl.train.many import ManyEnd as ManyEnd
from fdl.train.many import ManyEpoch as ManyEpoch
from fdl.train.many import fit_many as fit_many
from fdl.train.many import member as member
from fdl.train.members import Strategy as Strategy
