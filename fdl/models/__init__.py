"""Architectures, one a file: pure functions of variables and inputs."""

from fdl.models.cnn import CNN as CNN
from fdl.models.language_model import LanguageModel as LanguageModel
from fdl.models.mlp import MLP as MLP
from fdl.models.sampling import choice_logits as choice_logits
from fdl.models.sampling import generate as generate
from fdl.models.text_classifier import TextClassifier as TextClassifier
from fdl.models.transformer import Transformer as Transformer
from fdl.models.transformer import TransformerCache as TransformerCache
from fdl.models.vit import VisionTransformer as VisionTransformer
