"""Classic deep learning as pure functions in JAX: the Keras models, trained fast.

A model is a pure function. A learner is a few pure functions. Everything else (scan,
vmap, shard, checkpoint, compare with Keras) is a transformation of those.
"""

from importlib.metadata import version as _version

from fdl import data as data
from fdl import keras as keras
from fdl import learners as learners
from fdl import losses as losses
from fdl import metrics as metrics
from fdl import models as models
from fdl import nn as nn
from fdl import ops as ops
from fdl import runs as runs
from fdl import tasks as tasks
from fdl.arrays import Batch as Batch
from fdl.arrays import Buckets as Buckets
from fdl.arrays import Tokens as Tokens
from fdl.learner import Learner as Learner
from fdl.learner import State as State
from fdl.members import many as many
from fdl.members import member as member
from fdl.members import tunable as tunable
from fdl.runs import load as load
from fdl.train import DivergenceError as DivergenceError
from fdl.train import EarlyStopping as EarlyStopping
from fdl.train import ensemble as ensemble
from fdl.train import evaluate as evaluate
from fdl.train import fit as fit
from fdl.train import fit_many as fit_many
from fdl.train import predict as predict
from fdl.train import predict_many as predict_many

__version__ = _version("fdl")
