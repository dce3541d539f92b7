"""Ways of learning: a model, a loss and an optimizer become a `Learner`."""

from fdl.learners.adversarial import adversarial as adversarial
from fdl.learners.supervised import supervised as supervised
