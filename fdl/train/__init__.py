"""The training loop, what it leaves on disk, and what becomes of a trained state."""

from fdl.train.evaluate import evaluate as evaluate
from fdl.train.evaluate import predict as predict
from fdl.train.fit import DivergenceError as DivergenceError
from fdl.train.fit import Epoch as Epoch
from fdl.train.fit import Fit as Fit
from fdl.train.fit import fit as fit
from fdl.train.run_folder import RunError as RunError
from fdl.train.run_folder import RunFolder as RunFolder
from fdl.train.run_folder import fresh_path as fresh_path
from fdl.train.weights import load_weights as load_weights
from fdl.train.weights import save_weights as save_weights
from fdl.weights import WeightsError as WeightsError
