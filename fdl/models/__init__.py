"""Architectures, one a file: pure functions of variables and inputs."""

from fdl.models.cnn import CNN as CNN
from fdl.models.mlp import MLP as MLP
