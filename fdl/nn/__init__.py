"""What models are built from, with Keras' defaults and Keras' numerics."""

from fdl.nn.attention import AdditiveAttention as AdditiveAttention
from fdl.nn.attention import MultiHeadAttention as MultiHeadAttention
from fdl.nn.bidirectional import Bidirectional as Bidirectional
from fdl.nn.bidirectional import BidirectionalState as BidirectionalState
from fdl.nn.conv import Conv2D as Conv2D
from fdl.nn.dense import Dense as Dense
from fdl.nn.embedding import Embedding as Embedding
from fdl.nn.recurrent import GRU as GRU
from fdl.nn.recurrent import LSTM as LSTM
from fdl.nn.recurrent import SimpleRNN as SimpleRNN
from fdl.ops import LSTMState as LSTMState
from fdl.ops import RNNOutput as RNNOutput
from fdl.ops import max_pool as max_pool
