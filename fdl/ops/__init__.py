"""Pure array functions whose lowering is chosen for speed, per platform."""

from fdl.ops.conv import conv as conv
from fdl.ops.pool import max_pool as max_pool
from fdl.ops.recurrent import LSTMState as LSTMState
from fdl.ops.recurrent import RNNOutput as RNNOutput
from fdl.ops.recurrent import gru as gru
from fdl.ops.recurrent import lstm as lstm
from fdl.ops.recurrent import simple_rnn as simple_rnn
from fdl.ops.windows import Implementation as Implementation
from fdl.ops.windows import Padding as Padding
