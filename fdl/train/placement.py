"""Where the arrays of a training are: on one device, or spread over a mesh."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from fdl.arrays import PyTree
from fdl.learner import State
from fdl.sharding import DATA, Shard, automatic, state_sharding

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class Placement(NamedTuple):
    """Where the arrays of a training are.

    Attributes:
        mesh: The devices, with automatic axes; None for the default device, or those on
            which the arrays are.
        shard: What is spread over them.

    Example:
        >>> Placement().data({"image": np.zeros(3)})
        {'image': Array([0., 0., 0.], dtype=float32)}
    """

    mesh: Mesh | None = None
    shard: Shard = "batch"

    def data(self, tree: PyTree) -> PyTree:
        """Move examples: whole to each device, since a batch is drawn from all."""
        return jax.device_put(tree, self._everywhere)

    def chunk(self, tree: PyTree) -> PyTree:
        """Move examples that were fetched, and wait until they are there.

        What they were made of may be written over then: on CPU, `jax.device_put` goes
        on using the memory of an array, even with `may_alias=False`, if it is aligned.
        """
        return jax.block_until_ready(self.data(jax.tree.map(np.array, tree)))

    def state(self, state: State) -> State:
        """Move a state; without a mesh, it stays where it is."""
        if self.mesh is None:
            return state
        return jax.device_put(state, state_sharding(self.mesh, self.shard, state))

    def sums(self, sums: PyTree) -> PyTree:
        """Move sums of metrics; without a mesh, they stay where they are."""
        return sums if self.mesh is None else jax.device_put(sums, self._everywhere)

    def divisible(self, batch_size: int) -> int:
        """Return the next larger size of a batch that the devices can share equally."""
        return -(-batch_size // self._count) * self._count

    def require_divisible(self, batch_size: int) -> None:
        """Raise ValueError unless the devices can share a batch equally."""
        if batch_size % self._count:
            least = self.divisible(batch_size)
            raise ValueError(
                f"batch_size={batch_size} cannot be shared by {self._count} devices "
                f"equally: give a multiple of {self._count}, such as {least}."
            )

    @property
    def _count(self) -> int:
        return 1 if self.mesh is None else self.mesh.shape.get(DATA, 1)

    @property
    def _everywhere(self) -> NamedSharding | None:
        return None if self.mesh is None else NamedSharding(self.mesh, P())


def on_auto_mesh(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Make a function take arrays on meshes with explicit axes, and run within one.

    Within the function the axes are automatic (see `fdl.sharding.automatic`), and the
    arrays stay where they are.

    Example:
        >>> on_auto_mesh(lambda x: x + 1)(np.ones(3))
        array([2., 2., 2.])
    """

    @functools.wraps(function)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        args, kwargs = jax.tree.map(_moved, (args, kwargs))
        mesh = jax.sharding.get_mesh()
        if AxisType.Explicit not in mesh.axis_types:
            return function(*args, **kwargs)
        with jax.set_mesh(automatic(mesh)):
            return function(*args, **kwargs)

    return wrapped


def _moved(x: Any) -> Any:
    sharding = getattr(x, "sharding", None)
    if not isinstance(sharding, NamedSharding) or not isinstance(sharding.mesh, Mesh):
        return x
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return x
    return jax.device_put(x, NamedSharding(automatic(sharding.mesh), sharding.spec))
