"""Arrays that are spread over the devices of a mesh."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding

from fdl.arrays import PyTree


def on_auto_mesh(data: PyTree) -> PyTree:
    """Return arrays on a mesh with explicit axes as arrays on one with automatic axes.

    On a mesh with explicit axes, which `jax.make_mesh` makes, every operation of a
    model would have to say how its result is spread. Here XLA decides, and the arrays
    stay where they are. All other arrays are returned as they are.

    Example:
        >>> import numpy as np
        >>> on_auto_mesh({"x": np.ones(3)})
        {'x': array([1., 1., 1.])}
    """
    return jax.tree.map(_on_auto_mesh, data)


def _on_auto_mesh(x: Any) -> Any:
    sharding = getattr(x, "sharding", None)
    if not isinstance(sharding, NamedSharding) or not isinstance(sharding.mesh, Mesh):
        return x
    mesh = sharding.mesh
    if AxisType.Explicit not in mesh.axis_types:
        return x
    auto = Mesh(mesh.devices, mesh.axis_names)
    return jax.device_put(x, NamedSharding(auto, sharding.spec))
