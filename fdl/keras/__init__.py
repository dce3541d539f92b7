"""Keras-compatible optimizers, schedules and weights, without importing Keras."""

from fdl.keras import constraints as constraints
from fdl.keras import schedules as schedules
from fdl.keras.files import load_weights as load_weights
from fdl.keras.files import save_weights as save_weights
from fdl.keras.graph.model import KerasModel as KerasModel
from fdl.keras.importing import import_model as import_model
from fdl.keras.live import from_keras as from_keras
from fdl.keras.live import to_keras as to_keras
from fdl.keras.optimizers import adadelta as adadelta
from fdl.keras.optimizers import adafactor as adafactor
from fdl.keras.optimizers import adagrad as adagrad
from fdl.keras.optimizers import adam as adam
from fdl.keras.optimizers import adamax as adamax
from fdl.keras.optimizers import adamw as adamw
from fdl.keras.optimizers import ftrl as ftrl
from fdl.keras.optimizers import lamb as lamb
from fdl.keras.optimizers import lion as lion
from fdl.keras.optimizers import loss_scaled as loss_scaled
from fdl.keras.optimizers import muon as muon
from fdl.keras.optimizers import nadam as nadam
from fdl.keras.optimizers import rmsprop as rmsprop
from fdl.keras.optimizers import sgd as sgd
from fdl.listing import public as _public
from fdl.weights import WeightsError as WeightsError

__dir__ = _public(__name__, modules=("constraints", "schedules"))
