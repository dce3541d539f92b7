"""Arrays that are spread over the devices of a mesh."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def on_auto_mesh(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Make a function take arrays on meshes with explicit axes, and run within one.

    On a mesh with explicit axes, which `jax.make_mesh` makes, every operation of a
    model would have to say how its result is spread. Here XLA decides: within the
    function the axes are automatic, and the arrays stay where they are.

    Example:
        >>> import numpy as np
        >>> on_auto_mesh(lambda x: x + 1)(np.ones(3))
        array([2., 2., 2.])
    """

    @functools.wraps(function)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        args, kwargs = jax.tree.map(_moved, (args, kwargs))
        mesh = jax.sharding.get_mesh()
        if AxisType.Explicit not in mesh.axis_types:
            return function(*args, **kwargs)
        with jax.set_mesh(_automatic(mesh)):
            return function(*args, **kwargs)

    return wrapped


def _automatic(mesh: Mesh) -> Mesh:
    return Mesh(mesh.devices, mesh.axis_names)


def _moved(x: Any) -> Any:
    sharding = getattr(x, "sharding", None)
    if not isinstance(sharding, NamedSharding) or not isinstance(sharding.mesh, Mesh):
        return x
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return x
    return jax.device_put(x, NamedSharding(_automatic(sharding.mesh), sharding.spec))
