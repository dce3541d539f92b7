"""What climbs the ladder, by name: models, and layers in one shape each."""

import numpy as np

from parity import layers, sequence_layers  # noqa: F401  (it adds rows)
from parity.digits import digits
from parity.pick import Seeded
from parity.sides import Subject
from zoo import ZOO, Case


def model_subject(case: Case) -> Subject:
    """Return a row of the table of models as a subject."""
    return Subject(
        name=case.name,
        model=case.make(),
        twin=case.keras_twin,
        inputs=(case.inputs(5),),
        label=np.array([3, 1, 4, 1, 5]) % case.num_classes,
        epoch=lambda: digits(case.input_shape, case.num_classes),
    )


MODELS = {case.name: lambda case=case: model_subject(case) for case in ZOO}
LAYERS = {name: lambda row=row: row(Seeded(0)) for name, row in layers.LAYERS.items()}
