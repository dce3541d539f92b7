"""Architectures, one a file: pure functions of variables and inputs."""

from fdl.models.cnn import CNN as CNN
from fdl.models.dcgan import DCGANDiscriminator as DCGANDiscriminator
from fdl.models.dcgan import DCGANGenerator as DCGANGenerator
from fdl.models.dense_gan import DenseDiscriminator as DenseDiscriminator
from fdl.models.dense_gan import DenseGenerator as DenseGenerator
from fdl.models.mlp import MLP as MLP
