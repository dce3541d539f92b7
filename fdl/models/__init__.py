"""Architectures, one a file: pure functions of variables and inputs."""

from fdl.models.cnn import CNN as CNN
from fdl.models.mlp import MLP as MLP
from fdl.models.recurrent import GRUClassifier as GRUClassifier
from fdl.models.recurrent import LSTMClassifier as LSTMClassifier
from fdl.models.recurrent import SimpleRNNClassifier as SimpleRNNClassifier
