"""Subjects of the ladder by name: models, and layers with several draws of options."""

from parity import layers, sequence_layers  # noqa: F401  (it adds rows)
from parity.applications import applications as applications
from parity.pick import DRAWS, Spread
from parity.sides import Subject
from zoo import ZOO, Case
from zoo.epochs import digits


def model_subject(case: Case) -> Subject:
    """Return the subject of a row of the table of models."""
    epoch = case.epoch
    if epoch is None:
        (image,) = case.inputs
        epoch = lambda: digits(image.shape, case.classes)
    return Subject(
        name=case.name,
        model=case.make(),
        twin=case.keras_twin,
        inputs=case.arrays(5),
        classes=case.classes,
        epoch=epoch,
        single=case.single,
    )


def layer_draws(name: str) -> list[Subject]:
    """Return subjects of a row of the table of layers, with several options each."""
    return [layers.LAYERS[name](Spread(draw)) for draw in range(DRAWS)]


MODELS = {case.name: lambda case=case: [model_subject(case)] for case in ZOO}
LAYERS = {name: lambda name=name: layer_draws(name) for name in layers.LAYERS}
