"""Summarize the layers of a Keras model."""

from fdl.architecture import Summary
from fdl.arrays import PyTree
from fdl.keras.graph.arrays import examples
from fdl.keras.graph.model import KerasModel
from fdl.layers import summary


def layers_of(
    model: KerasModel, variables: PyTree, levels: int | None = None
) -> Summary:
    """Return the layers of a model, see `fdl.summary`; unknown sizes are taken as 32.

    Example:
        >>> import jax
        >>> from fdl.keras.graph.read import read_model
        >>> dense = {"class_name": "Dense", "config": {"name": "head", "units": 2}}
        >>> config = {"layers": [dense], "build_input_shape": [None, 3]}
        >>> model = KerasModel(
        ...     read_model({"class_name": "Sequential", "config": config})
        ... )
        >>> variables = model.init(jax.random.key(0), jax.numpy.ones((1, 3)))
        >>> layers_of(model, variables).layers[0][:4]
        ('head', 'Dense', ((2,),), 8)
    """
    inputs, frozen = examples(model.graph, 32), model.frozen
    return summary(model, variables, *inputs, levels=levels, frozen=frozen)
