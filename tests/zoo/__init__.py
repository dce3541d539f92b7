"""THE table of models: every law and every level of parity runs over its rows.

A family a file: its models, their twins in plain Keras layers, and what they learn from
at level 4. The laws run over `LAYERS` too.
"""

from zoo import (
    adversarial,
    autoencoders,
    backbones,
    classics,
    classifiers,
    layers,
    recurrent,
    residual,
    sentences,
    transformers,
    translators,
)
from zoo.case import Case as Case
from zoo.case import Epoch as Epoch
from zoo.case import Input as Input
from zoo.case import draw_variables as draw_variables

ZOO = [
    *classifiers.CASES,
    *classics.CASES,
    *residual.CASES,
    *backbones.CASES,
    *recurrent.CASES,
    *autoencoders.CASES,
    *adversarial.CASES,
    *transformers.CASES,
    *sentences.CASES,
    *translators.CASES,
]

LAYERS = layers.CASES
