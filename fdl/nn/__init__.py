"""Layers with Keras' names, defaults and numerics.

Their parameters have the layout of Keras' weights.
"""

from fdl.listing import public as _public
from fdl.nn import initializers as initializers
from fdl.nn.activations import *  # noqa: F403  (its __all__ is Keras' list)
from fdl.nn.additive_attention import AdditiveAttention as AdditiveAttention
from fdl.nn.attention import MultiHeadAttention as MultiHeadAttention
from fdl.nn.bidirectional import Bidirectional as Bidirectional
from fdl.nn.bidirectional import BidirectionalState as BidirectionalState
from fdl.nn.cache import KeyValueCache as KeyValueCache
from fdl.nn.conv import Conv1D as Conv1D
from fdl.nn.conv import Conv2D as Conv2D
from fdl.nn.conv import Conv2DTranspose as Conv2DTranspose
from fdl.nn.dense import Dense as Dense
from fdl.nn.depthwise import DepthwiseConv2D as DepthwiseConv2D
from fdl.nn.depthwise import SeparableConv2D as SeparableConv2D
from fdl.nn.dropout import Dropout as Dropout
from fdl.nn.embedding import Embedding as Embedding
from fdl.nn.frozen import Frozen as Frozen
from fdl.nn.mixed_precision import MixedPrecision as MixedPrecision
from fdl.nn.norm import BatchNormalization as BatchNormalization
from fdl.nn.norm import GroupNormalization as GroupNormalization
from fdl.nn.norm import InstanceNormalization as InstanceNormalization
from fdl.nn.norm import LayerNormalization as LayerNormalization
from fdl.nn.padding import length_mask as length_mask
from fdl.nn.positions import Positions as Positions
from fdl.nn.positions import sinusoids as sinusoids
from fdl.nn.recurrent import GRU as GRU
from fdl.nn.recurrent import LSTM as LSTM
from fdl.nn.recurrent import SimpleRNN as SimpleRNN
from fdl.nn.transformer import TransformerDecoder as TransformerDecoder
from fdl.nn.transformer import TransformerEncoder as TransformerEncoder
from fdl.nn.transformer import TransformerStack as TransformerStack
from fdl.nn.transformer_block import BlockCache as BlockCache
from fdl.nn.transformer_block import TransformerBlock as TransformerBlock
from fdl.ops import LSTMState as LSTMState
from fdl.ops import RNNOutput as RNNOutput
from fdl.ops import avg_pool as avg_pool
from fdl.ops import global_avg_pool as global_avg_pool
from fdl.ops import global_max_pool as global_max_pool
from fdl.ops import local_response_norm as local_response_norm
from fdl.ops import max_pool as max_pool
from fdl.ops import reflection_pad as reflection_pad
from fdl.ops import upsample as upsample
from fdl.ops import zero_pad as zero_pad

__dir__ = _public(__name__, modules=("initializers",))
