"""The training loop, what it leaves on disk, and what becomes of a trained state."""

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
from fdl.train.run_folder import RunError as RunError
from fdl.train.run_folder import RunFolder as RunFolder
from fdl.train.run_folder import fresh_path as fresh_path
from fdl.train.weights import load_weights as load_weights
from fdl.train.weights import save_weights as save_weights
from fdl.weights import WeightsError as WeightsError
