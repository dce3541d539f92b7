"""Pure array functions, with the implementation that is fastest on each platform."""

from fdl.listing import public as _public
from fdl.ops.conv import conv as conv
from fdl.ops.conv import conv_transpose as conv_transpose
from fdl.ops.dense import dense as dense
from fdl.ops.group import group_norm as group_norm
from fdl.ops.local_response import local_response_norm as local_response_norm
from fdl.ops.pool import avg_pool as avg_pool
from fdl.ops.pool import global_avg_pool as global_avg_pool
from fdl.ops.pool import global_max_pool as global_max_pool
from fdl.ops.pool import max_pool as max_pool
from fdl.ops.recurrence import RNNOutput as RNNOutput
from fdl.ops.recurrent import LSTMState as LSTMState
from fdl.ops.recurrent import gru as gru
from fdl.ops.recurrent import gru_step as gru_step
from fdl.ops.recurrent import lstm as lstm
from fdl.ops.recurrent import lstm_step as lstm_step
from fdl.ops.recurrent import simple_rnn as simple_rnn
from fdl.ops.recurrent import simple_rnn_step as simple_rnn_step
from fdl.ops.resample import reflection_pad as reflection_pad
from fdl.ops.resample import upsample as upsample
from fdl.ops.resample import zero_pad as zero_pad
from fdl.ops.rules import Implementation as Implementation
from fdl.ops.windows import Padding as Padding

__dir__ = _public(__name__)
