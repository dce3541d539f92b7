"""The table of models: every law and every level of parity runs over its rows.

Each file has a family: its models, their twins in plain Keras layers, and their
training data at level 4. The laws also run over `LAYERS`.
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
