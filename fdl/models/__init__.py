"""Architectures, one per file: pure functions of variables and inputs."""

from fdl.listing import public as _public
from fdl.models.autoencoder import Autoencoder as Autoencoder
from fdl.models.autoencoder import ConvAutoencoder as ConvAutoencoder
from fdl.models.cnn import CNN as CNN
from fdl.models.coders import ConvDecoder as ConvDecoder
from fdl.models.coders import ConvEncoder as ConvEncoder
from fdl.models.coders import DenseDecoder as DenseDecoder
from fdl.models.coders import DenseEncoder as DenseEncoder
from fdl.models.dcgan import DCGANDiscriminator as DCGANDiscriminator
from fdl.models.dcgan import DCGANGenerator as DCGANGenerator
from fdl.models.dense_gan import DenseDiscriminator as DenseDiscriminator
from fdl.models.dense_gan import DenseGenerator as DenseGenerator
from fdl.models.fast_cnn import FastCNN as FastCNN
from fdl.models.language_model import LanguageModel as LanguageModel
from fdl.models.mlp import MLP as MLP
from fdl.models.recurrent import GRUClassifier as GRUClassifier
from fdl.models.recurrent import LSTMClassifier as LSTMClassifier
from fdl.models.recurrent import SimpleRNNClassifier as SimpleRNNClassifier
from fdl.models.sampling import choice_logits as choice_logits
from fdl.models.sampling import generate as generate
from fdl.models.text_classifier import TextClassifier as TextClassifier
from fdl.models.transformer import Transformer as Transformer
from fdl.models.transformer import TransformerCache as TransformerCache
from fdl.models.vae import VAE as VAE
from fdl.models.vae import ConvVAE as ConvVAE
from fdl.models.vae import Posterior as Posterior
from fdl.models.vae import VAEOutput as VAEOutput
from fdl.models.vit import VisionTransformer as VisionTransformer

__dir__ = _public(__name__)
