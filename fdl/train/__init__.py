"""The training loop, what it leaves on disk, and what becomes of a trained state."""

from fdl.train.evaluate import evaluate as evaluate
from fdl.train.evaluate import predict as predict
from fdl.train.fit import DivergenceError as DivergenceError
from fdl.train.fit import Epoch as Epoch
from fdl.train.fit import Fit as Fit
from fdl.train.fit import fit as fit
