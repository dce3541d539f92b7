"""Losses as pure functions of arrays: one number for each example."""

from fdl.losses.adversarial import ADVERSARIAL as ADVERSARIAL
from fdl.losses.adversarial import AdversarialLoss as AdversarialLoss
from fdl.losses.adversarial import gradient_penalty as gradient_penalty
from fdl.losses.adversarial import least_squares as least_squares
from fdl.losses.adversarial import minimax as minimax
from fdl.losses.adversarial import non_saturating as non_saturating
from fdl.losses.adversarial import wasserstein_gp as wasserstein_gp
from fdl.losses.classification import cross_entropy as cross_entropy
from fdl.losses.divergence import standard_normal_kl as standard_normal_kl
from fdl.losses.likelihood import bernoulli_nll as bernoulli_nll
