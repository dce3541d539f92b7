"""Learners: turn a model, a loss and an optimizer into a `Learner`."""

from fdl.learners.adversarial import adversarial as adversarial
from fdl.learners.augmented import augmented as augmented
from fdl.learners.averaged import averaged as averaged
from fdl.learners.from_keras import from_keras as from_keras
from fdl.learners.frozen import frozen as frozen
from fdl.learners.importance import (
    importance_weighted_bound as importance_weighted_bound,
)
from fdl.learners.reconstructive import reconstructive as reconstructive
from fdl.learners.sequence_to_sequence import (
    sequence_to_sequence as sequence_to_sequence,
)
from fdl.learners.sharded import sharded as sharded
from fdl.learners.supervised import supervised as supervised
from fdl.learners.variational import variational as variational
from fdl.listing import public as _public

__dir__ = _public(__name__)
