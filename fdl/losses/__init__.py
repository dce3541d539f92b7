"""Losses as pure functions of arrays, with one number for each example.

Losses with Keras' names compute the same as Keras' functions, but take the outputs
before the targets.
"""

from fdl.listing import public as _public
from fdl.losses.adversarial import ADVERSARIAL as ADVERSARIAL
from fdl.losses.adversarial import AdversarialLoss as AdversarialLoss
from fdl.losses.adversarial import gradient_penalty as gradient_penalty
from fdl.losses.adversarial import least_squares as least_squares
from fdl.losses.adversarial import minimax as minimax
from fdl.losses.adversarial import non_saturating as non_saturating
from fdl.losses.adversarial import wasserstein_gp as wasserstein_gp
from fdl.losses.alignment import ctc as ctc
from fdl.losses.binary import binary_crossentropy as binary_crossentropy
from fdl.losses.classification import (
    categorical_crossentropy as categorical_crossentropy,
)
from fdl.losses.classification import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from fdl.losses.classification import cross_entropy as cross_entropy
from fdl.losses.classification import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from fdl.losses.divergence import kl_divergence as kl_divergence
from fdl.losses.divergence import standard_normal_kl as standard_normal_kl
from fdl.losses.focal import binary_focal_crossentropy as binary_focal_crossentropy
from fdl.losses.focal import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from fdl.losses.hinge import categorical_hinge as categorical_hinge
from fdl.losses.hinge import hinge as hinge
from fdl.losses.hinge import squared_hinge as squared_hinge
from fdl.losses.likelihood import bernoulli_nll as bernoulli_nll
from fdl.losses.overlap import dice as dice
from fdl.losses.overlap import tversky as tversky
from fdl.losses.pairs import circle as circle
from fdl.losses.regression import cosine_similarity as cosine_similarity
from fdl.losses.regression import huber as huber
from fdl.losses.regression import log_cosh as log_cosh
from fdl.losses.regression import mean_absolute_error as mean_absolute_error
from fdl.losses.regression import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from fdl.losses.regression import mean_squared_error as mean_squared_error
from fdl.losses.regression import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from fdl.losses.regression import poisson as poisson

__dir__ = _public(__name__)
