"""Losses as pure functions of arrays: one number for each example."""

from fdl.losses.classification import cross_entropy as cross_entropy
from fdl.losses.divergence import standard_normal_kl as standard_normal_kl
from fdl.losses.likelihood import bernoulli_nll as bernoulli_nll
